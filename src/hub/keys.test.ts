/** Each way in which the key of a connector ends is noticed by its link, without a word from there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { type World, world } from '../../test/world.ts'
import { parseCredential } from '../credential.ts'
import { accessKeys } from '../db/schema.ts'
import { expire } from '../expiry.ts'
import { FarEnd, linked } from './link.fixtures.ts'
import { closing } from '../sockets.ts'

const keyOf = (far: { at: { accessKey: string } }): string =>
  parseCredential(far.at.accessKey)?.id ?? ''

/** A link by a key that ends in a minute. */
async function linkedForAMinute(w: World): Promise<FarEnd> {
  const prod = await w.client.destinations.create({ name: 'prod' })
  const expiresAt = new Date(w.clock.now.getTime() + 60_000).toISOString()
  const key = await w.client.keys.create({ name: 'short', destination: 'prod', expiresAt })
  const far = new FarEnd(w.hub, { ...prod, accessKey: key.accessKey })
  far.hello()
  await far.beat()
  return far
}

test('L11: the link of a key that is revoked is closed, and that of another key to the same destination is not', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const { accessKey } = await w.client.keys.create({ name: 'second', destination: 'prod' })
  const second = new FarEnd(w.hub, { ...far.at, accessKey })
  second.hello('two')
  await second.beat()
  await w.client.keys.revoke(keyOf(far))
  assert.equal(await far.when(() => far.closed), closing.notAdmitted)
  await second.beat()
  assert.equal(second.closed, null)
})

test('L11: the link of a key that the server finds expired is closed', async (t) => {
  const w = await world(t)
  const far = await linkedForAMinute(w)
  const at = new Date(w.clock.now.getTime() + 60_000)
  // The hub's own clock stands still: what tells it is the event.
  await expire({ ...w, clock: () => at, listeningSince: at })
  assert.equal(await far.when(() => far.closed), closing.notAdmitted)
})

test('L11: a ping by a key whose time is over closes its link, whoever has or has not ended it', async (t) => {
  const w = await world(t)
  const far = await linkedForAMinute(w)
  const beats = far.beats.length
  w.clock.now = new Date(w.clock.now.getTime() + 60_000)
  far.say({ kind: 'ping', id: 1000 })
  assert.equal(await far.when(() => far.closed), closing.notAdmitted)
  assert.equal(far.beats.length, beats)
})

test('L11: the link of a key that went with its destination is closed', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  await w.client.destinations.delete('prod')
  assert.equal(await far.when(() => far.closed), closing.notAdmitted)
})

test('L11: in a new epoch every key is looked at, whatever events there are', async (t) => {
  const w = await world(t)
  const [far, other] = [await linked(w, 'prod'), await linked(w, 'other')]
  await w.db
    .update(accessKeys)
    .set({ endedAt: w.clock.now })
    .where(eq(accessKeys.id, keyOf(far)))
  await w.db.execute(sql`update installation set epoch = 'another'`)
  other.say({ kind: 'ping', id: 1000 })
  assert.equal(await far.when(() => far.closed), closing.notAdmitted)
  assert.equal(await other.when(() => other.closed), closing.goingAway)
})

test("the end of a user's key closes no link", async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await ana.client.keys.create({ name: 'ci' })
  await ana.client.keys.revoke('ci')
  await far.beat()
  assert.equal(far.closed, null)
  assert.equal(far.access.at(-1)?.users[0]?.ended.length, 1)
})
