/** A database that went back in time, noticed while servers and connectors run (security.md P3). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gt } from 'drizzle-orm'
import { until } from '../test/processes.ts'
import { type World, world } from '../test/world.ts'
import { readEpoch } from './access.ts'
import { events } from './db/schema.ts'
import { eventsAfter, newest } from './events.ts'
import { Hub } from './hub/hub.ts'
import { FarEnd, linked } from './hub/link.fixtures.ts'
import { closing } from './sockets.ts'

const restored = async ({ db }: World) =>
  (await eventsAfter(db, 0, 1000)).filter(({ kind }) => kind === 'database.restored')

/** Links as somebody who was sent `revision` in this epoch. */
function helloKnowing(far: FarEnd, epoch: string, revision: number): void {
  far.say({ kind: 'hello', instance: 'one', version: '1', epoch, revision, endpoint: null })
}

test('a connector that knows a later revision than there is: a new epoch, and everybody begins anew', async (t) => {
  const w = await world(t)
  const other = await linked(w, 'other')
  const prod = await w.client.destinations.create({ name: 'prod' })
  const epoch = await readEpoch(w.db)
  const revision = await newest(w.db)
  const far = new FarEnd(w.hub, prod)
  helloKnowing(far, epoch, revision + 5)
  await far.when(() => far.access.length > 0)
  const [said, ...more] = await restored(w)
  assert.deepEqual(more, [])
  assert.equal(said?.number, revision + 1)
  assert.equal(said?.destinations, null)
  assert.equal(said?.detail['knownRevision'], revision + 5)
  assert.deepEqual(said?.detail['noticedBy'], { id: prod.id, name: 'prod' })
  const [access] = far.access
  assert.notEqual(access?.epoch, epoch)
  assert.equal(access?.epoch, await readEpoch(w.db))
  assert.equal(await other.when(() => other.closed), closing.goingAway)
})

test('a connector that knows what there is, or another epoch, is sent Access and nothing else happens', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  const known: [string, number][] = [
    [await readEpoch(w.db), await newest(w.db)],
    ['an-epoch-long-gone', 1_000_000],
  ]
  for (const [epoch, revision] of known) {
    const far = new FarEnd(w.hub, prod)
    helloKnowing(far, epoch, revision)
    await far.when(() => far.access.length > 0)
  }
  assert.deepEqual(await restored(w), [])
})

test('a connector is believed once an hour: its key alone cannot make all others begin anew for ever', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  const claim = async (): Promise<FarEnd> => {
    const far = new FarEnd(w.hub, prod)
    helloKnowing(far, await readEpoch(w.db), 1_000_000)
    await far.when(() => far.access.length > 0 || far.closed !== null)
    return far
  }
  await claim()
  const again = await claim()
  assert.equal(again.closed, closing.badMessage)
  assert.deepEqual(again.access, [])
  assert.equal((await restored(w)).length, 1)
  w.clock.now = new Date(w.clock.now.getTime() + 3_600_000)
  await claim()
  assert.equal((await restored(w)).length, 2)
})

test('events that were there before are gone: the server notices by itself', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const before = await newest(w.db)
  const epoch = await readEpoch(w.db)
  await w.user('ana@example.com')
  await w.client.grants.create({ user: 'ana@example.com', destination: 'prod', role: 'view' })
  await far.beat()
  await w.db.delete(events).where(gt(events.number, before))
  far.say({ kind: 'ping', id: 1000 })
  assert.equal(await far.when(() => far.closed), closing.goingAway)
  const [said] = await restored(w)
  assert.equal(said?.number, before + 1)
  assert.equal(said?.detail['knownRevision'], before + 1)
  assert.notEqual(await readEpoch(w.db), epoch)
  const again = new FarEnd(w.hub, far.at)
  helloKnowing(again, epoch, before + 1)
  await again.when(() => again.access.length > 0)
  assert.equal((await restored(w)).length, 1)
})

test('R6: a server that lost its listener renews nothing until it listens again', async (t) => {
  const w = await world(t)
  let isListening = true
  let judged = 0
  const asked = () => {
    judged += 1
    return isListening
  }
  const hub = new Hub({ ...w.store, isListening: asked }, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  const far = await linked(w, 'prod', hub)
  isListening = false
  judged = 0
  far.say({ kind: 'ping', id: 1000 })
  await until('the ping is judged', () => judged === 1)
  // Changes are still sent as they are found: only the lease is not renewed.
  const ana = await w.user('ana@example.com')
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await far.when(() => far.access.length === 2)
  far.say({ kind: 'ping', id: 1001 })
  await until('the next is judged', () => judged === 2)
  isListening = true
  await far.beat()
  assert.deepEqual(
    far.beats.filter(({ id }) => id >= 1000),
    [],
  )
})
