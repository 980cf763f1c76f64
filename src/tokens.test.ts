import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeJwt } from 'jose'
import { eq } from 'drizzle-orm'
import { type Person, type World, world } from '../test/world.ts'
import { users } from './db/schema.ts'
import { tokenEnd } from './tokens.ts'

const later = (now: Date, ms: number): string => new Date(now.getTime() + ms).toISOString()

async function withProd(w: World): Promise<{ ana: Person; prod: string }> {
  const ana = await w.user('ana@example.com')
  const { id } = await w.client.destinations.create({ name: 'prod' })
  return { ana, prod: id }
}

test('a user with a grant gets a token for that destination, by its name or its id', async (t) => {
  const w = await world(t)
  const { ana, prod } = await withProd(w)
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  for (const destination of ['prod', prod]) {
    const given = await ana.client.me.createToken({ destination })
    assert.deepEqual(given.destination, { id: prod, name: 'prod' })
    const { aud, sub, sid, exp } = decodeJwt(given.token)
    assert.deepEqual({ aud, sub, sid }, { aud: prod, sub: ana.id, sid: ana.session })
    assert.equal(exp, Date.parse(given.expiresAt) / 1000)
  }
})

test('a grant of a group is one of its members, for one namespace as for the whole cluster', async (t) => {
  const w = await world(t)
  const { ana } = await withProd(w)
  await w.client.groups.create({ name: 'ops' })
  await w.client.grants.create({
    group: 'ops',
    destination: 'prod',
    namespace: 'web',
    role: 'view',
  })
  await assert.rejects(ana.client.me.createToken({ destination: 'prod' }), { code: 'not_found' })
  await w.client.groups.addUser('ops', ana.email)
  await ana.client.me.createToken({ destination: 'prod' })
})

test('without a grant that stands, a destination is not found, in the words for one that is not there', async (t) => {
  const w = await world(t)
  const { ana } = await withProd(w)
  const bob = await w.user('bob@example.com')
  await w.client.destinations.create({ name: 'other' })
  await w.client.grants.create({ user: ana.email, destination: 'other', role: 'view' })
  await w.client.grants.create({ user: bob.email, destination: 'prod', role: 'view' })
  const expiresAt = later(w.clock.now, 60_000)
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view', expiresAt })
  await ana.client.me.createToken({ destination: 'prod' })
  w.clock.now = new Date(w.clock.now.getTime() + 60_001)
  for (const destination of ['prod', 'nowhere']) {
    await assert.rejects(ana.client.me.createToken({ destination }), {
      code: 'not_found',
      message: `you have no access to a destination "${destination}"`,
    })
  }
})

test('D6: a user with a reserved name gets no token, however the name came in', async (t) => {
  const w = await world(t)
  const { ana } = await withProd(w)
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await w.db.update(users).set({ email: 'System:admin@x' }).where(eq(users.id, ana.id))
  await assert.rejects(ana.client.me.createToken({ destination: 'prod' }), { code: 'forbidden' })
})

test('issuing a token is no event', async (t) => {
  const w = await world(t)
  const { ana } = await withProd(w)
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  const before = await w.client.events.list()
  await ana.client.me.createToken({ destination: 'prod' })
  assert.deepEqual(await w.client.events.list(), before)
})

test('a token ends with its life, its lease, or its session, whichever comes first', () => {
  const now = new Date('2026-01-01T00:00:00.900Z')
  const settings = { tokenSeconds: 300, leaseSeconds: 360 }
  const end = (leaseSeconds: number | null, expiresAt: Date | null): string =>
    tokenEnd(now, settings, { leaseSeconds }, { expiresAt }).toISOString()
  assert.equal(end(null, null), '2026-01-01T00:05:00.000Z')
  assert.equal(end(15, null), '2026-01-01T00:00:15.000Z')
  assert.equal(end(86_400, null), '2026-01-01T00:05:00.000Z')
  const whole = tokenEnd(
    ...([now, { tokenSeconds: 86_400, leaseSeconds: 360 }] as const),
    ...([{ leaseSeconds: 86_400 }, { expiresAt: null }] as const),
  )
  assert.equal(whole.toISOString(), '2026-01-02T00:00:00.000Z', 'as long as a lease of a day')
  assert.equal(end(null, new Date('2026-01-01T00:00:30.500Z')), '2026-01-01T00:00:30.000Z')
})
