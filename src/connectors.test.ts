import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../test/processes.ts'
import { type World, world } from '../test/world.ts'
import { connectors } from './db/schema.ts'
import { markHeard, nextSilence } from './connectors.ts'
import { expire } from './expiry.ts'
import { Hub } from './hub/hub.ts'
import { FarEnd, linked } from './hub/link.fixtures.ts'
import { closing } from './sockets.ts'

const later = (w: World, ms: number): void => {
  w.clock.now = new Date(w.clock.now.getTime() + ms)
}
const look = (w: World, listeningSince = new Date(0)) =>
  expire({ ...w, clock: () => w.clock.now, listeningSince })
const told = async (w: World) =>
  (await w.client.events.list()).filter(({ kind }) => kind.startsWith('connector.'))

test('a connector not heard of for half of its lease is silent once, and returns once', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const lease = w.settings.leaseSeconds * 1000
  later(w, lease * 0.75 - 1)
  await look(w)
  assert.deepEqual(await told(w), [])
  later(w, 1)
  await look(w)
  later(w, lease)
  await look(w)
  const [silent, ...more] = await told(w)
  assert.deepEqual(
    [silent?.kind, silent?.actor.kind, more.length],
    ['connector.silent', 'system', 0],
  )
  assert.equal(silent?.detail['instance'], 'one')
  assert.deepEqual(silent?.destinations, [])
  await far.beat()
  await far.beat()
  assert.deepEqual(
    (await told(w)).map(({ kind }) => kind),
    ['connector.silent', 'connector.returned'],
  )
})

test('a connector that is heard of is never missed, though it is marked only now and then', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  for (let round = 0; round < 20; round += 1) {
    later(w, 30_000)
    await far.beat()
    await look(w)
  }
  assert.deepEqual(await told(w), [])
})

test('nobody is missed for the time that no server was there to hear them', async (t) => {
  const w = await world(t)
  await linked(w, 'prod')
  later(w, 86_400_000)
  const startedAt = w.clock.now
  await look(w, startedAt)
  assert.deepEqual(await told(w), [])
  const due = await nextSilence(w.db, startedAt)
  assert.equal(due?.getTime(), startedAt.getTime() + w.settings.leaseSeconds * 750)
  later(w, w.settings.leaseSeconds * 750)
  await look(w, startedAt)
  assert.equal((await told(w)).length, 1)
})

test('who said goodbye is not missed, and named in no receipt', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const { revision } = await w.client.groups.create({ name: 'ops' })
  const query = { destination: 'prod', revision }
  far.detach(closing.leaving)
  await until('it is forgotten', async () => {
    return (await w.db.select().from(connectors)).length === 0
  })
  assert.deepEqual((await w.client.destinations.receipt(query)).connectors, [])
})

test('a server that starts anew names who may still hold a lease, until it has surely ended', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  later(w, 59_000)
  const { at } = await far.beat()
  const hub = new Hub(w.store, w.settings, () => w.clock.now)
  const { id } = far.at
  const [named] = await hub.enforced(id, 1, 0)
  assert.deepEqual([named?.instance, named?.link, named?.enforcedAt], ['one', 'silent', null])
  // The beat left no mark, and its lease is within what is said all the same.
  const lease = w.settings.leaseSeconds * 1000
  assert.ok(Date.parse(named?.leaseEndsAt ?? '') >= Date.parse(at) + lease)
  later(w, lease + 60_000)
  assert.deepEqual(await hub.enforced(id, 1, 0), [])
})

test('where streams are kept past the end of a lease, who may hold some is named past it', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.destinations.update({ destination: 'prod', onLeaseEnd: 'keep' })
  const far = new FarEnd(w.hub, prod)
  far.hello()
  await far.beat()
  far.detach()
  later(w, 2 * 86_400_000)
  const receipt = await w.client.destinations.receipt({ destination: 'prod', revision: 1 })
  assert.equal(receipt.onLeaseEnd, 'keep')
  assert.equal(receipt.connectors[0]?.instance, 'one')
  const anew = new Hub(w.store, w.settings, () => w.clock.now)
  assert.equal((await anew.enforced(prod.id, 1, 0))[0]?.instance, 'one')
})

test('a key that calls itself by ever new names does not make the table grow', async (t) => {
  const w = await world(t)
  const { id, name } = await w.client.destinations.create({ name: 'prod' })
  const heard = {
    destination: { id, name },
    via: 'poll',
    at: w.clock.now,
    leaseSeconds: 360,
  } as const
  const named = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => ({ ...heard, instance: `i${from + n}` }))
  for (let n = 0; n < 5; n += 1) await markHeard(w.db, named(n, 1))
  await markHeard(w.db, named(0, 300))
  await markHeard(w.db, named(300, 2))
  assert.equal((await w.db.select().from(connectors)).length, 256)
})
