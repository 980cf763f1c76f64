/** Links that are half open, or slow: what is revoked is cut, and no receipt says more than is so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Receipt } from '../../src/wire/destinations.ts'
import { startProxy, type Towards } from '../proxy.ts'
import { until } from '../processes.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import { hasEvent, linesOf, metric, shown } from './told.ts'
import { type Connector, journey, type World } from './world.ts'

/** Towards whom what is sent gets lost; the connector is who dialled. */
const halves: [string, Towards][] = [
  ['to-server', 'far'],
  ['to-connector', 'near'],
]

type Removal = { receipt: Receipt }

test('a link of which one half is dead is replaced before the lease ends: the revoked are cut, nobody else', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin } = world
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  for (const [name, towards] of halves) {
    await t.test(`what is sent ${name.replace('-', ' the ')} is lost`, async (t) => {
      const proxy = await startProxy(world.port)
      t.after(() => proxy.close())
      const connector = await world.destination(name, through(proxy))
      for (const { email } of [ana, ben]) await admin.ok(grant(email, name))
      const lost = await openStreams(world, ana, { destination: name, namespace: `half-${name}` })
      const kept = await openStreams(world, ben, { destination: name, namespace: `half-${name}` })

      proxy.swallowOpen(towards)
      const { receipt } = await admin.json<Removal>(revoke(ana.email, name))
      await areCut(world, lost)
      await isRefused(ana, name)
      assert.deepEqual([receipt.enforced, severedBy(receipt)], [true, 3])
      await until('the dead link was given up', () => saidDown(connector))
      await until('another took its place', async () => (await shown(world, name)).linked === 1)
      await goesOn(world, kept)
      assert.equal(await connector.readiness(), 200)
    })
  }
})

test('where one direction is dead for every connection the lease ends, and until then no receipt says that it is enforced', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin } = world
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  const all = []
  for (const [name, towards] of halves) {
    const proxy = await startProxy(world.port)
    t.after(() => proxy.close())
    const connector = await world.destination(name, through(proxy))
    for (const { email } of [ana, ben]) await admin.ok(grant(email, name))
    const lost = await openStreams(world, ana, { destination: name, namespace: `dead-${name}` })
    const also = await openStreams(world, ben, { destination: name, namespace: `dead-${name}` })
    all.push({ name, towards, proxy, connector, lost, also })
  }

  for (const { towards, proxy } of all) proxy.swallow(towards)
  for (const { name } of all) {
    const removed = await admin.infra([...revoke(ana.email, name, '--wait=1s'), '--format', 'json'])
    const { receipt } = JSON.parse(removed.stdout) as Removal
    // What is sent may still arrive where only the way back is dead; nobody can know that it did.
    assert.deepEqual([removed.code, receipt.enforced], [1, false], name)
    assert.equal(receipt.connectors[0]?.enforcedAt, null)
    assert.ok(
      Date.parse(receipt.connectors[0]?.leaseEndsAt ?? '') > 0,
      'when it ends at the latest',
    )
  }
  for (const { name, connector, lost, also } of all) {
    await areCut(world, lost)
    await areCut(world, also)
    await until('it is not ready', async () => (await connector.readiness()) === 503)
    const refused = await ben.kubectl(['--context', `infra:${name}`, 'get', 'configmaps'])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /no word from its server for longer than its lease/)
    assert.ok(saidDown(connector))
    assert.deepEqual([await metric(connector, 'infra_link_up'), await leaseLeft(connector)], [0, 0])
    await hasEvent(world, name, 'connector.silent')
  }

  for (const { proxy } of all) proxy.pass()
  for (const { name, connector } of all) {
    await connector.ready()
    await isRefused(ana, name)
    await ben.kubectlOk(['--context', `infra:${name}`, 'get', 'namespaces'])
    await hasEvent(world, name, 'connector.returned')
    const removed = await admin.json<Removal>(revoke(ben.email, name))
    assert.equal(removed.receipt.enforced, true)
  }
})

test('a link on which bytes trickle carries beats and revocations; one that is slower than the lease ends in it', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin } = world
  const proxy = await startProxy(world.port)
  t.after(() => proxy.close())
  const prod = await world.destination('prod', through(proxy))
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  for (const { email } of [ana, ben]) await admin.ok(grant(email, 'prod'))
  const lost = await openStreams(world, ana, { destination: 'prod', namespace: 'slow' })
  const kept = await openStreams(world, ben, { destination: 'prod', namespace: 'slow' })

  proxy.slow(300, 64)
  const { receipt } = await admin.json<Removal>(revoke(ana.email, 'prod'))
  assert.deepEqual([receipt.enforced, severedBy(receipt)], [true, 3])
  await areCut(world, lost)
  const before = await leaseEndsAt(world, prod)
  await until('a lease and more has passed', async () => {
    return (await leaseEndsAt(world, prod)) > before + 16_000
  })
  await goesOn(world, kept)
  assert.equal(saidDown(prod), false, 'a slow link is no dead one')

  // A beat counts from when it was asked for: one that comes after that lease renews nothing.
  proxy.slow(20_000)
  await areCut(world, kept)
  await until('it is not ready', async () => (await prod.readiness()) === 503)
  const refused = await ben.kubectl(['--context', 'infra:prod', 'get', 'configmaps'])
  assert.match(refused.stderr, /no word from its server for longer than its lease/)
  assert.equal(await leaseLeft(prod), 0)
  await hasEvent(world, 'prod', 'connector.silent')
  proxy.pass()
  await prod.ready()
  await ben.kubectlOk(['--context', 'infra:prod', 'get', 'namespaces'])
})

const through = (proxy: { port: number }) => ({ server: `https://127.0.0.1:${proxy.port}` })

const grant = (email: string, name: string) => [
  ...['grants', 'add', email, name, '--role', 'edit', '--wait'],
]

const revoke = (email: string, name: string, wait = '--wait') => [
  ...['grants', 'remove', email, name, '--role', 'edit', wait],
]

/** Streams that were cut, however many acknowledgements told of them. */
function severedBy({ connectors }: Receipt): number {
  return connectors.reduce((sum, { severed }) => sum + severed, 0)
}

/** Until when the lease runs, as the server knows it. */
async function leaseEndsAt(world: World, { id }: Connector): Promise<number> {
  const response = await world.api('GET', `/api/destinations/${id}/receipt?revision=1`)
  const { connectors } = (await response.json()) as Receipt
  return Date.parse(connectors[0]?.leaseEndsAt ?? '')
}

function saidDown({ running }: Connector): boolean {
  return linesOf(running).some(({ message, reason }) => {
    return message === 'link down' && /silent/.test(String(reason))
  })
}

function leaseLeft(connector: Connector): Promise<number> {
  return metric(connector, 'infra_lease_seconds_left')
}
