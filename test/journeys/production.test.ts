/** The connector as it runs for years: replicas, a new address, its records. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import tls from 'node:tls'
import { test } from 'node:test'
import type { ShownDestination } from '../../src/wire/destinations.ts'
import { tlsServerName } from '../../src/wire/names.ts'
import { type Running, until } from '../processes.ts'
import { areCut, openStreams } from './streams.ts'
import { freePort } from '../ports.ts'
import type { Person } from './person.ts'
import { Connector, journey, type World } from './world.ts'

type Shown = { endpoint: string; pendingEndpoint: string | null; linked: number }
type Receipt = { enforced: boolean; connectors: { linked: boolean; severed: number }[] }
type Line = Record<string, unknown> & { message: string }

test('two replicas of one destination: both enforce, both are in the receipt, both cut', async (t) => {
  const world = await journey(t)
  const first = await world.destination('prod')
  const second = await replicaOf(world, first)
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const there = await openStreams(world, ana, { destination: 'prod', namespace: 'replicas-one' })
  const server = ['--server', `https://${second.endpoint}`]
  server.push('--tls-server-name', tlsServerName(first.id))
  const elsewhere = await watchVia(ana, server)
  assert.equal((await shown(world)).linked, 2)

  const gone = await world.api('DELETE', `/api/grants/${await grantOf(world, ana.email)}`)
  const { revision } = (await gone.json()) as { revision: number }
  const query = `revision=${revision}&waitSeconds=30`
  const answer = await world.api('GET', `/api/destinations/prod/receipt?${query}`)
  const receipt = (await answer.json()) as Receipt
  assert.equal(receipt.enforced, true)
  const severed = receipt.connectors.map((connector) => connector.severed)
  assert.deepEqual(
    severed.toSorted((a, b) => a - b),
    [1, 3],
  )
  await areCut(world, there)
  await elsewhere.ends()
})

test('P4: another endpoint than before waits for consent, and until then nobody is led there', async (t) => {
  const world = await journey(t)
  const prod = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])
  const moved = await replicaOf(world, prod)
  await until('the new one waits', async () => {
    return (await shown(world)).pendingEndpoint === moved.endpoint
  })
  assert.equal((await shown(world)).endpoint, prod.endpoint)
  await ana.ok(['list'])
  assert.ok(ana.readKubeconfig().includes(prod.endpoint))
  assert.ok(!ana.readKubeconfig().includes(moved.endpoint))

  const consent = ['destinations', 'edit', 'prod', '--endpoint', moved.endpoint]
  const edited = await world.admin.json<{ pendingEndpoint: string | null }>(consent)
  // Later the other replica may say its own again, which then waits in its turn.
  assert.equal(edited.pendingEndpoint, null)
  await ana.ok(['list'])
  assert.ok(ana.readKubeconfig().includes(moved.endpoint))
  await ana.kubectlOk(['--context', 'infra:prod', 'get', 'namespaces'])
})

test('P7: the audit log knows a request by our id and from its caller, whatever the caller claims', async (t) => {
  const world = await journey(t)
  const prod = await world.destination('prod', { env: { INFRA_STREAM_LOG: 'all' } })
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])
  await ana.ok(['list'])
  const { status } = JSON.parse((await ana.ok(['tokens', 'create', 'prod'])).stdout)
  const path = `/api/v1/namespaces/audited-${prod.id}/pods`
  const answer = await askRaw(prod, [
    `GET ${path} HTTP/1.1`,
    'Host: prod',
    `Authorization: Bearer ${status.token}`,
    'Audit-ID: forged-by-the-caller',
    'X-Forwarded-For: 203.0.113.66',
    'X-Real-Ip: 203.0.113.66',
    'Connection: close',
  ])
  assert.match(answer, /^HTTP\/1\.1 200 /)
  const events = (await world.cluster.auditEvents()).filter(({ requestURI }) => requestURI === path)
  assert.ok(events.length > 0)
  const [record] = linesOf(prod).filter((line) => line['path'] === path)
  assert.ok(record)
  for (const event of events) {
    assert.equal(event.auditID, record['stream'])
    assert.ok(!JSON.stringify(event.sourceIPs).includes('203.0.113.66'))
    assert.equal(event.sourceIPs[0], '127.0.0.1')
    if (event.stage === 'RequestReceived') continue
    assert.equal(event.impersonatedUser.username, ana.email)
  }
})

test('a record says who opened what, how much passed and why it ended; metrics sum it up', async (t) => {
  const at = `127.0.0.1:${await freePort()}`
  const world = await journey(t, { env: { INFRA_METRICS_LISTEN: at } })
  const prod = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const open = await openStreams(world, ana, { destination: 'prod', namespace: 'recorded' })
  assert.match(await metricsOf(prod), /^infra_streams_open 3$/m)
  await world.admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait'])
  await areCut(world, open)

  const told = (message: string) =>
    linesOf(prod).filter((line) => line.message === message && line['namespace'] === 'recorded')
  await until('three ends are told', () => told('stream closed').length === 3)
  const opened = told('stream opened').map(({ verb, resource }) => [verb, resource].join(' '))
  assert.deepEqual(opened.toSorted(), ['get pods/exec', 'get pods/log', 'watch configmaps'])
  for (const line of told('stream closed')) {
    assert.equal(line['user'], ana.email)
    assert.equal(line['ending'], 'severed')
    assert.equal(line['why'], 'access revoked')
    assert.ok(Number(line['bytesUp']) > 0 && Number(line['bytesDown']) > 0)
  }
  const metrics = await metricsOf(prod)
  assert.match(metrics, /^infra_streams_open 0$/m)
  assert.match(metrics, /^infra_streams_severed_total 3$/m)
  assert.match(metrics, /^infra_requests_total\{outcome="severed"\} 3$/m)
  assert.match(metrics, /^infra_link_up 1$/m)
  assert.match(metrics, /^infra_enforcement_seconds_count [1-9]/m)
  assert.doesNotMatch(metrics, /ana@|recorded/)

  const server = await (await fetch(`http://${at}/metrics`)).text()
  assert.match(server, /^infra_revocation_seconds_count 1$/m)
  assert.match(server, /^infra_streams_severed_total 3$/m)
  assert.match(server, /^infra_revision_lag_seconds 0$/m)
  assert.match(server, /^infra_connectors\{link="linked"\} 1$/m)
  assert.doesNotMatch(server, /ana@|recorded|prod/)
  const { connectors } = await world.admin.json<ShownDestination>(['destinations', 'show', 'prod'])
  const [connector, ...others] = connectors
  assert.deepEqual([connector?.link, connector?.behind, others], ['linked', null, []])
  assert.equal(connector?.lastRevocation?.kind, 'grant.revoked')
  assert.equal(connector.lastRevocation.severed, 3)
})

/** A second connector of the same destination, at an address of its own. */
async function replicaOf(world: World, { name, id, accessKey }: Connector): Promise<Connector> {
  const standing = { name, id, accessKey, port: await freePort() }
  const env = { INFRA_CONNECTOR_DATA_DIR: join(world.dir, `replica-${name}`) }
  const replica = new Connector(world, standing, { env })
  world.connectors.push(replica)
  await replica.start()
  return replica
}

/** A watch by the context of `prod`, at the replica instead. */
async function watchVia(person: Person, server: string[]): Promise<Running> {
  const watch = person.open([...['--context', 'infra:prod'], ...server, 'get', 'namespaces', '-w'])
  await watch.says(/default/)
  return watch
}

async function shown(world: World): Promise<Shown> {
  return world.admin.json<Shown>(['destinations', 'show', 'prod'])
}

async function grantOf(world: World, email: string): Promise<string> {
  const grants = await world.admin.json<{ id: string; subject: unknown }[]>(['grants', 'list'])
  const found = grants.find((grant) => JSON.stringify(grant).includes(email))
  assert.ok(found)
  return found.id
}

async function metricsOf(connector: Connector): Promise<string> {
  return (await fetch(`${await connector.metricsUrl}/metrics`)).text()
}

function linesOf({ running }: Connector): Line[] {
  const whole = (running?.stderr ?? '').split('\n').slice(0, -1)
  return whole.map((line) => JSON.parse(line) as Line)
}

/** A request by its very lines, and all that came back. */
async function askRaw({ endpoint }: Connector, lines: string[]): Promise<string> {
  const [host = '', port] = endpoint.split(':')
  // What is asked about is the other side of the connector: this one is known by its address.
  const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false })
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  return text(socket)
}
