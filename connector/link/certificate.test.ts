import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openAuthority } from '../../src/authority.ts'
import { Client } from '../../src/wire/client.ts'
import { CertificateRequest } from '../../src/wire/destinations.ts'
import { tlsServerName } from '../../src/wire/names.ts'
import { keepIssued, keepOwn, readKept, renewAfterMs } from './certificate.ts'
import { certificateFor, HandClock } from '../fixtures.ts'
import type { Serving } from '../splice/listen.ts'

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'infra-certificate-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A server that certifies by the real authority, and may be away. */
async function server(dir: string) {
  const authority = await openAuthority(dir, () => new Date())
  const state = { isAway: false, asked: 0 }
  const client = new Client('http://server', 'k1.s3cret', async (request) => {
    state.asked += 1
    if (state.isAway) throw new Error('ECONNREFUSED')
    assert.equal(request.headers.get('authorization'), 'Bearer k1.s3cret')
    const { csr } = CertificateRequest.parse(await request.json())
    const { certificate, expiresAt } = await authority.certifyConnector(csr, 'd1')
    return Response.json({ certificate, expiresAt: expiresAt.toISOString() })
  })
  return { state, ca: authority.caPem, issue: client.connector.certificate }
}

/** The next certificate that is to be used. */
function uses() {
  const waiting: ((serving: Serving) => void)[] = []
  const seen: Serving[] = []
  const use = (serving: Serving) => {
    const next = waiting.shift()
    if (next) next(serving)
    else seen.push(serving)
  }
  const next = async (): Promise<Serving> =>
    seen.shift() ?? (await new Promise((resolve) => waiting.push(resolve)))
  return { use, next }
}

const quiet = () => {}

test('the server certifies a key made here, in the name of the destination of our access key', async (t) => {
  const dir = folder(t)
  const { issue, ca } = await server(dir)
  const { use, next } = uses()
  const path = join(dir, 'new', 'serving.pem')
  const keeping = keepIssued({ issue, path, clock: new HandClock(), log: quiet, use })
  t.after(() => keeping.close())
  const { cert, key } = await next()
  const leaf = new X509Certificate(cert)
  assert.ok(leaf.verify(new X509Certificate(ca).publicKey))
  assert.equal(leaf.checkHost(tlsServerName('d1')), tlsServerName('d1'))
  assert.match(key, /PRIVATE KEY/)
  assert.ok(cert.trim().endsWith(ca.trim()), 'the chain is served whole')
})

test('a restart serves what was kept though the server is away, and readable by nobody else', async (t) => {
  const dir = folder(t)
  const { issue, state } = await server(dir)
  const path = join(dir, 'serving.pem')
  const clock = new HandClock()
  clock.setWall(Date.now() - clock.wall())
  const first = uses()
  const earlier = keepIssued({ issue, path, clock, log: quiet, use: first.use })
  const { cert } = await first.next()
  await stored(path)
  earlier.close()
  assert.equal(statSync(path).mode & 0o777, 0o600)
  state.isAway = true
  const second = uses()
  const later = keepIssued({ issue, path, clock, log: quiet, use: second.use })
  t.after(() => later.close())
  assert.equal((await second.next()).cert, cert)
})

test('it is renewed when two thirds of its life are over, without a restart', async (t) => {
  const dir = folder(t)
  const { issue, state } = await server(dir)
  const { use, next } = uses()
  const clock = new HandClock()
  const keeping = keepIssued({ issue, path: join(dir, 'pem'), clock, log: quiet, use, lookMs: 5 })
  t.after(() => keeping.close())
  const first = await next()
  const lifeMs = 7 * 86_400_000
  const afterMs = renewAfterMs(first.cert)
  assert.ok(afterMs > lifeMs / 2 && afterMs < (lifeMs * 3) / 4)
  clock.pass(afterMs - 1000)
  assert.equal(state.asked, 1)
  clock.pass(1000)
  const second = await next()
  assert.equal(state.asked, 2)
  assert.notEqual(second.key, first.key)
})

test('a server that is away is asked again', async (t) => {
  const dir = folder(t)
  const { issue, state } = await server(dir)
  state.isAway = true
  const { use, next } = uses()
  const log = () => void (state.isAway = false)
  const keeping = keepIssued({ issue, path: join(dir, 'pem'), clock: new HandClock(), log, use })
  t.after(() => keeping.close())
  assert.ok(await next())
  assert.equal(state.asked, 2)
})

test('a certificate for another key is not used', async (t) => {
  const dir = folder(t)
  const { cert } = await certificateFor('d1.destination.infra')
  const { use, next } = uses()
  const { issue } = await server(dir)
  let asked = 0
  const keeping = keepIssued({
    issue: async (csr) => {
      asked += 1
      return asked === 1 ? { certificate: cert, expiresAt: '2030-01-01T00:00:00Z' } : issue(csr)
    },
    path: join(dir, 'pem'),
    clock: new HandClock(),
    log: quiet,
    use,
  })
  t.after(() => keeping.close())
  assert.notEqual((await next()).cert, cert)
})

test('what was kept is used only while it is whole and not over', async (t) => {
  const dir = folder(t)
  const path = join(dir, 'pem')
  const { cert, key } = await certificateFor('a')
  const { key: other } = await certificateFor('b')
  assert.equal(readKept(path, Date.now()), null)
  writeFileSync(path, `${key}\n${cert}\n`)
  assert.ok(readKept(path, Date.now()))
  assert.equal(readKept(path, Date.now() + 2 * 86_400_000), null, 'it is over')
  writeFileSync(path, `${other}\n${cert}\n`)
  assert.equal(readKept(path, Date.now()), null, 'its key is another')
  writeFileSync(path, cert)
  assert.equal(readKept(path, Date.now()), null, 'its key is missing')
})

test('a certificate of one’s own is used, and exchanged when its files are', async (t) => {
  const dir = folder(t)
  const files = { certFile: join(dir, 'crt'), keyFile: join(dir, 'key') }
  const [one, two] = [await certificateFor('one'), await certificateFor('two')]
  writeFileSync(files.certFile, one.cert)
  writeFileSync(files.keyFile, one.key)
  const { use, next } = uses()
  const keeping = keepOwn({ ...files, log: quiet, use, everyMs: 10 })
  t.after(() => keeping.close())
  assert.equal((await next()).cert, one.cert)
  writeFileSync(files.certFile, two.cert)
  writeFileSync(files.keyFile, two.key)
  assert.equal((await next()).cert, two.cert)
})

test('a certificate of one’s own that does not fit its key is refused at the start', async (t) => {
  const dir = folder(t)
  const files = { certFile: join(dir, 'crt'), keyFile: join(dir, 'key') }
  writeFileSync(files.certFile, (await certificateFor('one')).cert)
  writeFileSync(files.keyFile, (await certificateFor('two')).key)
  assert.throws(
    () => keepOwn({ ...files, log: quiet, use: quiet }),
    /INFRA_CONNECTOR_TLS_CERT_FILE/,
  )
})

/** The file is written right after the certificate was handed over. */
async function stored(path: string): Promise<void> {
  for (;;) {
    try {
      if (readFileSync(path, 'utf8').includes('END CERTIFICATE')) return
    } catch {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
