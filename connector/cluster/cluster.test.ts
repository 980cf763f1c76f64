import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { stringify } from 'yaml'
import { Failure } from '../../src/wire/failure.ts'
import { Cluster } from './cluster.ts'
import { certificateFor, HandClock } from '../fixtures.ts'
import type { Serving } from '../splice/listen.ts'

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'infra-cluster-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** An API server that keeps the heads it is sent, and says who showed what certificate. */
async function apiServer(t: TestContext, serving: Serving, clientCa: string | null = null) {
  const heads: string[] = []
  const asks = clientCa === null ? {} : { requestCert: true, ca: clientCa }
  const server = tls.createServer({ ...serving, ...asks }, (socket) => {
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (part) => {
      text += String(part)
      if (!text.includes('\r\n\r\n')) return
      heads.push(text)
      const body = '{"kind":"Status","message":"seen"}'
      socket.end(
        `HTTP/1.1 418 Teapot\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      )
    })
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  const address = server.address()
  return { heads, port: typeof address === 'object' && address ? address.port : 0 }
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** A kubeconfig with one context, whose cluster and user are as given. */
function kubeconfig(dir: string, cluster: object, user: object): string {
  const path = join(dir, 'kubeconfig')
  const document = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster }],
    users: [{ name: 'u', user }],
  }
  writeFileSync(path, stringify(document))
  return path
}

const never = () => 0

test('in a pod, the service account is used, and its token and CA are read again as they rotate', async (t) => {
  const dir = folder(t)
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }
  const clock = new HandClock()
  writeFileSync(join(dir, 'token'), 'first\n')
  writeFileSync(join(dir, 'ca.crt'), 'CA 1')
  const cluster = Cluster.find(null, env, () => clock.elapsed(), dir)
  const { host, port, tls: trust } = cluster.target()
  assert.deepEqual([host, port, trust], ['fd00::1', 6443, { ca: 'CA 1' }])
  writeFileSync(join(dir, 'token'), 'second\n')
  writeFileSync(join(dir, 'ca.crt'), 'CA 2')
  clock.pass(31_000)
  assert.equal(cluster.target().credential(), 'second')
  assert.deepEqual(cluster.target().tls, { ca: 'CA 2' })
})

test('a token file that is gone for a moment leaves the last token in use', async (t) => {
  const dir = folder(t)
  const clock = new HandClock()
  writeFileSync(join(dir, 'token'), 'first')
  writeFileSync(join(dir, 'ca.crt'), 'CA')
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }
  const cluster = Cluster.find(null, env, () => clock.elapsed(), dir)
  rmSync(join(dir, 'token'))
  clock.pass(60_000)
  assert.equal(cluster.target().credential(), 'first')
  assert.equal(cluster.target().port, 443)
})

test('outside of a pod a kubeconfig must be named', () => {
  assert.throws(() => Cluster.find(null, {}, never), /KUBECONFIG is not set/)
})

test('a request of our own carries our token, and checks the name that the kubeconfig gives', async (t) => {
  const dir = folder(t)
  const serving = await certificateFor('kubernetes.test')
  const { heads, port } = await apiServer(t, serving)
  writeFileSync(join(dir, 'token'), 't0ken\n')
  mkdirSync(join(dir, 'pki'))
  writeFileSync(join(dir, 'pki', 'ca.crt'), serving.cert)
  const at = { server: `https://127.0.0.1:${port}`, 'certificate-authority': 'pki/ca.crt' }
  const named = kubeconfig(
    dir,
    { ...at, 'tls-server-name': 'kubernetes.test' },
    { tokenFile: 'token' },
  )
  const answer = await Cluster.find(named, {}, never).ask('POST', '/apis/x', { a: 'é' })
  assert.deepEqual(answer, { status: 418, body: { kind: 'Status', message: 'seen' } })
  assert.match(heads[0] ?? '', /^POST \/apis\/x HTTP\/1\.1\r\n/)
  assert.match(heads[0] ?? '', /^authorization: Bearer t0ken\r$/im)
  assert.doesNotMatch(heads[0] ?? '', /^impersonate/im)

  const unnamed = Cluster.find(kubeconfig(dir, at, { token: 't0ken' }), {}, never)
  await assert.rejects(unnamed.ask('GET', '/'), (error) => {
    assert.ok(error instanceof Failure)
    assert.equal(error.code, 'unavailable')
    assert.doesNotMatch(error.message, /t0ken/)
    return true
  })
  assert.equal(heads.length, 1)
})

test('a certificate of another CA is not trusted', async (t) => {
  const dir = folder(t)
  const { heads, port } = await apiServer(t, await certificateFor('127.0.0.1'))
  const { cert } = await certificateFor('127.0.0.1')
  const at = { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': base64(cert) }
  const cluster = Cluster.find(kubeconfig(dir, at, { token: 't0ken' }), {}, never)
  await assert.rejects(cluster.ask('GET', '/'), /cannot reach the API server/)
  assert.deepEqual(heads, [])
})

test('a client certificate proves us in place of a token', async (t) => {
  const dir = folder(t)
  const [serving, client] = [await certificateFor('127.0.0.1'), await certificateFor('connector')]
  const { heads, port } = await apiServer(t, serving, client.cert)
  const at = {
    server: `https://127.0.0.1:${port}`,
    'certificate-authority-data': base64(serving.cert),
  }
  const user = {
    'client-certificate-data': base64(client.cert),
    'client-key-data': base64(client.key),
  }
  const cluster = Cluster.find(kubeconfig(dir, at, user), {}, never)
  assert.equal((await cluster.ask('GET', '/')).status, 418)
  assert.equal(cluster.target().credential(), null)
  assert.equal(cluster.target().tls.cert, client.cert)
  assert.doesNotMatch(heads[0] ?? '', /authorization/i)
})

test('what a connector cannot keep its word with is refused in a sentence', (t) => {
  const dir = folder(t)
  const at = { server: 'https://10.0.0.1', 'certificate-authority-data': base64('CA') }
  const token = { token: 't0ken' }
  const wrong: [object, object, RegExp][] = [
    [at, { exec: { command: 'aws' } }, /exec is not supported/],
    [at, { 'auth-provider': { name: 'gcp' } }, /auth-provider is not supported/],
    [at, { username: 'a', password: 'b' }, /username is not supported/],
    [at, { ...token, as: 'admin' }, /as is not supported/],
    [at, {}, /neither a token nor a client certificate/],
    [at, { 'client-certificate-data': base64('C') }, /one is missing/],
    [{ ...at, 'insecure-skip-tls-verify': true }, token, /insecure-skip-tls-verify is refused/],
    [{ ...at, 'proxy-url': 'http://proxy' }, token, /proxy-url is not supported/],
    [{ ...at, server: 'http://10.0.0.1' }, token, /no https URL/],
    [{ ...at, server: 'https://10.0.0.1/k8s/clusters/c1' }, token, /path is not supported/],
    [{ server: 'https://10.0.0.1' }, token, /no certificate-authority/],
  ]
  for (const [cluster, user, says] of wrong) {
    const path = kubeconfig(dir, cluster, user)
    assert.throws(() => Cluster.find(path, {}, never), { code: 'invalid', message: says })
  }
})

test('a kubeconfig that is none is refused, and nothing of it is repeated', (t) => {
  const dir = folder(t)
  const path = join(dir, 'kubeconfig')
  for (const text of ['', 'token: s3cret: x', '[]', 'current-context: gone\n']) {
    writeFileSync(path, text)
    assert.throws(
      () => Cluster.find(path, {}, never),
      (error) => {
        assert.ok(error instanceof Failure && error.code === 'invalid')
        assert.match(error.message, /^KUBECONFIG: /)
        assert.doesNotMatch(error.message, /s3cret/)
        return true
      },
    )
  }
  assert.throws(() => Cluster.find(join(dir, 'nowhere'), {}, never), /cannot read/)
})
