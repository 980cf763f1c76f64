/** The door flooded by strangers: the link, a revocation and its receipt come through, and people too. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { until } from '../processes.ts'
import { Crowd, Flood } from './flood.ts'
import { forgetPeak, memoryOf } from './memory.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import { type Connector, journey, type World } from './world.ts'

const limits = { INFRA_MAX_STRANGERS: '200', INFRA_MAX_CONNECTIONS: '300' }

async function flooded(t: TestContext, world: World) {
  const { admin } = world
  const prod = await world.destination('prod', { env: limits })
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  for (const { email } of [ana, ben]) {
    await admin.ok(['grants', 'add', email, 'prod', '--role', 'edit', '--wait'])
  }
  const open = (person: typeof ana, namespace: string) =>
    openStreams(world, person, { destination: 'prod', namespace })
  const streams = { lost: await open(ana, 'flood-ana'), kept: await open(ben, 'flood-ben') }
  const [host = '', port] = prod.endpoint.split(':')
  const flood = new Flood(host, Number(port))
  t.after(() => flood.stop())
  return { admin, prod, ana, ben, flood, ...streams }
}

type Enforced = { receipt: { enforced: boolean; connectors: { severed: number }[] } }

test('D11: under a flood of strangers and garbage a revocation cuts, its receipt comes, and nobody else is hindered', async (t) => {
  const world = await journey(t)
  const { admin, prod, ana, ben, flood, lost, kept } = await flooded(t, world)
  const before = (await eventsAfter(world, 0)).length
  flood.start()
  await until('the door has shown out strangers for others', async () => {
    return (await metric(prod, 'infra_connections_closed_total{reason="displaced"}')) > 300
  })
  const { receipt } = await flood.during(() =>
    admin.json<Enforced>(['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait']),
  )
  assert.deepEqual([receipt.enforced, receipt.connectors.map((one) => one.severed)], [true, [3]])
  await flood.during(() => areCut(world, lost))
  await flood.during(() => isRefused(ana, 'prod'))
  await flood.during(() => goesOn(world, kept))
  const where = ['--context', 'infra:prod', '--namespace', 'flood-ben']
  await flood.during(() => ben.kubectlOk([...where, 'get', 'configmaps']))
  await flood.during(async () => {
    await until('it is as full as it gets', async () => {
      const strangers = await metric(prod, 'infra_connections_open{kind="stranger"}')
      assert.ok(strangers <= 200, `${strangers} strangers are let wait`)
      return strangers === 200
    })
    assert.equal(await metric(prod, 'infra_link_up'), 1)
  })
  assert.deepEqual(await eventsAfter(world, before), ['grant.revoked'], 'no stranger is an event')
})

const halfHead = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(60_000)}`
const many = 1_500
/** What a runtime takes for itself over that many handshakes; those kept would be twice as much. */
const mostGrowth = 256 * 1024 * 1024

test('D11: thousands of heads that never end are not kept, and the process does not grow by them', async (t) => {
  const world = await journey(t)
  const prod = await world.destination('prod', { env: limits })
  const [host = '', port] = prod.endpoint.split(':')
  const crowd = new Crowd(host, Number(port))
  t.after(() => crowd.leave())
  await crowd.come(300, halfHead)
  const before = forgetPeak(prod)
  await crowd.come(many, halfHead)
  const strangers = await metric(prod, 'infra_connections_open{kind="stranger"}')
  const growth = memoryOf(prod, 'VmHWM') - before
  assert.ok(strangers <= 200, `${strangers} strangers are let wait`)
  assert.ok(growth < mostGrowth, `the connector grew by ${growth} bytes`)
  assert.equal(await prod.readiness(), 200)
})

async function eventsAfter(world: World, after: number): Promise<string[]> {
  const response = await world.api('GET', `/api/events?after=${after}&limit=1000`)
  return ((await response.json()) as { kind: string }[]).map(({ kind }) => kind)
}

/** What the connector tells of itself; fails when it tells nothing. */
async function metric(connector: Connector, name: string): Promise<number> {
  const text = await (await fetch(`${await connector.metricsUrl}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? 0)
}
