import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { accessKeys, grants, sessions } from './db/schema.ts'
import { Expiry, type ExpiryParts, expire } from './expiry.ts'

const parts = (w: World, listeningSince = new Date(0)): ExpiryParts => ({
  ...{ ...w, clock: () => w.clock.now, listeningSince },
})
const later = (w: World, ms: number): Date => new Date(w.clock.now.getTime() + ms)

async function withGrant(w: World, ms: number): Promise<{ destination: string; grant: string }> {
  const ana = await w.user('ana@example.com')
  const prod = await w.client.destinations.create({ name: 'prod' })
  const words = { user: ana.email, destination: 'prod', role: 'view' }
  const expiresAt = later(w, ms).toISOString()
  const { id } = await w.client.grants.create({ ...words, expiresAt })
  return { destination: prod.id, grant: id }
}

test('a grant whose time is over is taken away by the system, for its destination to know', async (t) => {
  const w = await world(t)
  const { destination, grant } = await withGrant(w, 60_000)
  await expire(parts(w))
  assert.equal((await w.db.select().from(grants)).length, 1)
  w.clock.now = later(w, 60_000)
  await expire(parts(w))
  assert.deepEqual(await w.db.select().from(grants), [])
  const event = (await w.client.events.list()).at(-1)
  assert.equal(event?.kind, 'grant.expired')
  assert.equal(event?.actor.kind, 'system')
  assert.deepEqual(event?.destinations, [destination])
  assert.equal((event?.detail['grant'] as { id: string } | undefined)?.id, grant)
  await expire(parts(w))
  assert.deepEqual((await w.client.events.list()).at(-1), event)
})

test('a key whose time is over ends, and where its user has access is told', async (t) => {
  const w = await world(t)
  const { destination } = await withGrant(w, 3_600_000)
  const expiresAt = later(w, 1000).toISOString()
  const key = await w.client.keys.create({ name: 'ci', user: 'ana@example.com', expiresAt })
  w.clock.now = later(w, 1000)
  await expire(parts(w))
  const [row] = await w.db.select().from(accessKeys).where(eq(accessKeys.id, key.id))
  assert.deepEqual(row?.endedAt, w.clock.now)
  const event = (await w.client.events.list()).at(-1)
  assert.deepEqual([event?.kind, event?.destinations], ['key.expired', [destination]])
})

test('it sleeps until the next end, and half a minute at most', async (t) => {
  const w = await world(t)
  assert.equal(await expire(parts(w)), 30_000)
  await withGrant(w, 12_000)
  assert.equal(await expire(parts(w)), 12_000)
})

test('R4: a task that fails holds up no other, and is said to have failed', async (t) => {
  const w = await world(t)
  await withGrant(w, 1000)
  w.clock.now = later(w, w.settings.sessionSeconds * 1000 + 10 * 86_400_000)
  await w.db.execute(sql`alter table signing_keys rename to lost`)
  const wait = await expire(parts(w))
  await w.db.execute(sql`alter table lost rename to signing_keys`)
  assert.equal(wait, null)
  assert.deepEqual(await w.db.select().from(grants), [])
  assert.deepEqual(await w.db.select().from(sessions), [])
})

test('what ended is kept while a token of it may be good, and forgotten later', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  await ana.client.me.logout()
  const count = async (): Promise<number> =>
    (await w.db.select().from(sessions).where(eq(sessions.id, ana.session))).length
  w.clock.now = later(w, 49 * 3_600_000)
  await expire(parts(w))
  assert.equal(await count(), 1)
  w.clock.now = later(w, 10 * 86_400_000)
  await expire(parts(w))
  assert.equal(await count(), 0)
})

test('the loop takes a grant away that was given while it slept', async (t) => {
  const w = await world(t)
  let expired = 0
  let tell = (): void => {}
  const look = async (): Promise<void> => {
    const events = await w.client.events.list()
    expired = events.filter(({ kind }) => kind === 'grant.expired').length
    tell()
  }
  const stop = await w.store.listen('infra_events', () => void look())
  const whenExpired = (count: number): Promise<void> =>
    new Promise((resolve) => {
      tell = () => (expired >= count ? resolve() : undefined)
    })
  const { destination } = await withGrant(w, 50)
  const expiry = new Expiry({ ...w, clock: () => new Date(), listeningSince: new Date() })
  t.after(async () => {
    await expiry.close()
    await stop()
  })
  const first = whenExpired(1)
  await expiry.open()
  await first
  // The run that ended it asks for the next end between these, finds none, and sleeps.
  for (let n = 0; n < 40; n++) await w.db.execute(sql`select 1`)
  const second = whenExpired(2)
  const expiresAt = new Date(Date.now() + 300).toISOString()
  await w.client.grants.create({ user: 'ana@example.com', destination, role: 'edit', expiresAt })
  await second
})

test('a session that has come to its end is told to where its user has access', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  const expiresAt = later(w, 60_000)
  await w.db.update(sessions).set({ expiresAt }).where(eq(sessions.id, ana.session))
  await expire(parts(w, w.clock.now))
  w.clock.now = expiresAt
  await expire(parts(w, w.clock.now))
  await expire(parts(w, w.clock.now))
  const events = await w.client.events.list()
  const expired = events.filter(({ kind }) => kind === 'session.expired')
  assert.equal(expired.length, 1)
  assert.deepEqual(expired[0]?.destinations, [prod.id])
  assert.equal(expired[0]?.detail['session'], ana.session)
})
