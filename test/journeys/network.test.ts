/** The networks that people have: behind a proxy, on IPv6, behind something that ends TLS. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createServer } from 'node:tls'
import { openAuthority } from '../../src/authority.ts'
import { fetchWith } from '../../src/wire/dial.ts'
import { startForwardProxy } from '../forward-proxy.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import { freePort } from '../ports.ts'
import type { Person } from './person.ts'
import { journey, type World } from './world.ts'

test('everything that goes out goes by the proxy: CLI, link, certificate, API server, and no kubeconfig names it', async (t) => {
  const proxy = await startForwardProxy()
  t.after(() => proxy.close())
  const around = { HTTPS_PROXY: proxy.url }
  const world = await journey(t, { host: 'infra.test', around })
  const KUBECONFIG = await kubeconfigByName(world)
  const prod = await world.destination('prod', { env: { KUBECONFIG } })
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  await ana.ok(['list'])
  await cutsWhatIsOpen(world, ana, 'proxied')

  const { port } = new URL(world.cluster.url)
  const reached = new Set(proxy.targets)
  assert.deepEqual(reached, new Set([new URL(world.url).host, `kubernetes.test:${port}`]))
  assert.doesNotMatch(ana.readKubeconfig(), /proxy-url|pa%20ss|pa ss/)
  assert.doesNotMatch(prod.running?.stderr ?? '', /pa%20ss|pa ss/)

  // The name is known to the proxy alone: whoever does not ask it finds nothing.
  const direct = await ana.openInfra(['list'], { NO_PROXY: '.test' }).ends()
  assert.equal(direct.code, 1)
  assert.match(direct.stderr, /cannot reach the server/)
  const wrong = { HTTPS_PROXY: proxy.url.replace('pa%20ss', 'wrong-word') }
  const refused = await ana.openInfra(['list'], wrong).ends()
  assert.equal(refused.code, 1)
  assert.doesNotMatch(refused.stderr, /wrong-word/)
})

test('on IPv6: listeners, certificates, kubeconfig and URL', async (t) => {
  const world = await journey(t, { host: '[::1]' })
  const prod = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  await ana.ok(['list'])
  assert.match(prod.endpoint, /^\[::1\]:\d+$/)
  assert.ok(ana.readKubeconfig().includes(`server: https://${prod.endpoint}`))
  const who = await ana.kubectlOk(['--context', 'infra:prod', 'auth', 'whoami', '-o', 'json'])
  assert.equal(JSON.parse(who.stdout).status.userInfo.username, ana.email)
  await cutsWhatIsOpen(world, ana, 'ipv6')
})

test('the wildcard of IPv6 takes callers of both families', async (t) => {
  const world = await journey(t)
  const port = await freePort()
  const env = { INFRA_CONNECTOR_LISTEN: `[::]:${port}`, INFRA_CONNECTOR_ENDPOINT: `[::1]:${port}` }
  await world.destination('prod', { env })
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])
  await ana.ok(['list'])
  const get = ['--context', 'infra:prod', 'get', 'namespaces', '-o', 'name']
  await ana.kubectlOk(get)
  const name = /tls-server-name: (\S+)/.exec(ana.readKubeconfig())?.[1] ?? ''
  const other = ['--server', `https://127.0.0.1:${port}`, '--tls-server-name', name]
  await ana.kubectlOk([...other, ...get])
})

test('behind a proxy that ends TLS: guesses count for who the trusted proxy names, not for the proxy', async (t) => {
  const world = await journey(t, { env: { INFRA_TRUSTED_PROXIES: '127.0.0.1' } })
  await guessUntilRefused(world, '203.0.113.7')
  assert.equal(await guess(world, '203.0.113.7', 'other@example.com'), 429)
  assert.equal(await guess(world, '203.0.113.8', 'other@example.com'), 401, 'a neighbour')
  // The last address is the one that our proxy saw; what stands before it, anybody can write.
  assert.equal(await guess(world, '198.51.100.1, 203.0.113.7', 'other@example.com'), 429)
})

test("without a trusted proxy, X-Forwarded-For is nobody's word", async (t) => {
  const world = await journey(t)
  await guessUntilRefused(world, '203.0.113.7')
  assert.equal(await guess(world, '203.0.113.8', 'other@example.com'), 429)
})

test('INFRA_TLS=off behind something that ends TLS: login, link and kubectl work by the public URL', async (t) => {
  const front = await startFront(t)
  const env = { INFRA_TLS: 'off', INFRA_URL: front.url }
  const world = await journey(t, { front, env })
  front.leadTo(world.port)
  await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  await cutsWhatIsOpen(world, ana, 'fronted')
})

/** A kubeconfig of the connector that names the API server by a name only the proxy knows. */
async function kubeconfigByName(world: World): Promise<string> {
  const path = await world.cluster.connectorKubeconfig()
  const { port } = new URL(world.cluster.url)
  const text = readFileSync(path, 'utf8')
  const named = text.replace(
    `server: ${world.cluster.url}`,
    `server: https://kubernetes.test:${port}\n      tls-server-name: localhost`,
  )
  assert.notEqual(named, text)
  const own = join(world.dir, 'by-name.kubeconfig')
  writeFileSync(own, named, { mode: 0o600 })
  return own
}

/** A watch, a log and a shell go on, and end with the grant; `--wait` has the receipt. */
async function cutsWhatIsOpen(world: World, person: Person, namespace: string): Promise<void> {
  const open = await openStreams(world, person, { destination: 'prod', namespace })
  await goesOn(world, open)
  await world.admin.ok(['grants', 'remove', person.email, 'prod', '--role', 'edit', '--wait'])
  await areCut(world, open)
  await isRefused(person, 'prod')
}

/** The status of one wrong password, sent by way of a proxy that names `forwardedFor`. */
async function guess(world: World, forwardedFor: string, email: string): Promise<number> {
  const fetch = fetchWith(readFileSync(world.caFile, 'utf8'))
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': forwardedFor }
  const body = JSON.stringify({ email, password: 'a guess' })
  const request = new Request(`${world.url}/api/login/password`, { method: 'POST', headers, body })
  return (await fetch(request)).status
}

/** A hundred are let through for one address, each at an account of its own. */
async function guessUntilRefused(world: World, forwardedFor: string): Promise<void> {
  const accounts = Array.from({ length: 101 }, (_, n) => `guessed-${n}@example.com`)
  const statuses: number[] = []
  for (const email of accounts) statuses.push(await guess(world, forwardedFor, email))
  assert.equal(statuses.filter((status) => status === 401).length, 100)
  assert.equal(statuses.at(-1), 429)
}

/** Ends TLS with a certificate of a CA of its own, and passes bytes on to a plain port. */
async function startFront(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'infra-front-'))
  const authority = await openAuthority(dir, () => new Date())
  const { certificate, key } = await authority.certifyServer(['127.0.0.1'])
  let port = 0
  const open = new Set<Socket>()
  const server = createServer({ cert: certificate, key }, (near) => {
    const far = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const leadTo = (to: number): void => {
    port = to
  }
  return { url, caFile: join(dir, 'ca.crt'), leadTo }
}
