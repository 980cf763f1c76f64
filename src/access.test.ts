import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { readAccess } from './access.ts'
import { sessions } from './db/schema.ts'
import { newest } from './events.ts'
import { Access } from './wire/access.ts'

async function read(w: World, id: string): Promise<Access> {
  const access = await readAccess(w.db, id, { now: w.clock.now, settings: w.settings })
  return Access.parse(access)
}

const endedAt = ({ users }: Access) => users.flatMap(({ ended }) => ended).toSorted()

test('Access names the users, groups and grants of one destination, and nobody else', async (t) => {
  const w = await world(t)
  const [ana, bob, cy] = await Promise.all(
    ['ana@example.com', 'bob@example.com', 'cy@example.com'].map((email) => w.user(email)),
  )
  assert.ok(ana && bob && cy)
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.destinations.create({ name: 'other' })
  const ops = await w.client.groups.create({ name: 'ops' })
  const idle = await w.client.groups.create({ name: 'idle' })
  for (const [group, { email }] of [
    ['ops', ana],
    ['ops', bob],
    ['idle', ana],
  ] as const) {
    await w.client.groups.addUser(group, email)
  }
  const direct = await w.client.grants.create({
    user: ana.email,
    destination: 'prod',
    role: 'view',
  })
  const words = { destination: 'prod', namespace: 'web', role: 'edit' }
  const byGroup = await w.client.grants.create({ group: 'ops', ...words })
  await w.client.grants.create({ user: cy.email, destination: 'other', role: 'view' })
  await w.client.grants.create({ group: 'idle', destination: 'other', role: 'view' })

  const access = await read(w, prod.id)
  assert.deepEqual(
    access.users,
    [
      { id: ana.id, email: ana.email, groups: [ops.id], ended: [] },
      { id: bob.id, email: bob.email, groups: [ops.id], ended: [] },
    ].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  )
  assert.deepEqual(access.groups, [{ id: ops.id, name: 'ops' }])
  assert.ok(!JSON.stringify(access).includes(idle.id))
  assert.deepEqual(
    access.grants,
    [
      {
        id: direct.id,
        subject: { kind: 'user' as const, id: ana.id },
        role: 'view',
        namespace: null,
        expiresAt: null,
      },
      {
        id: byGroup.id,
        subject: { kind: 'group' as const, id: ops.id },
        role: 'edit',
        namespace: 'web',
        expiresAt: null,
      },
    ].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  )
  assert.equal(access.revision, await newest(w.db))
  assert.equal(access.issuer, w.settings.url)
  assert.equal(access.leaseSeconds, w.settings.leaseSeconds)
  assert.equal(access.signingKeys.length, 1)
})

test('a disabled user is not in Access, and is again when enabled', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await w.client.users.update({ user: ana.email, disabled: true })
  assert.deepEqual((await read(w, prod.id)).users, [])
  await w.client.users.update({ user: ana.email, disabled: false })
  assert.equal((await read(w, prod.id)).users.length, 1)
})

test('P2: an ended session or key is told for longer than any token and lease together', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  const key = await ana.client.keys.create({ name: 'ci' })
  await ana.client.keys.revoke('ci')
  await ana.client.me.logout()
  const told = endedAt(await read(w, prod.id))
  assert.deepEqual(told, [ana.session, key.id].toSorted())
  w.clock.now = new Date(w.clock.now.getTime() + 48 * 3_600_000)
  assert.deepEqual(endedAt(await read(w, prod.id)), told)
  w.clock.now = new Date(w.clock.now.getTime() + 48 * 3_600_000)
  assert.deepEqual(endedAt(await read(w, prod.id)), [])
})

test('the ended session of somebody without access is told nobody', async (t) => {
  const w = await world(t)
  const bob = await w.user('bob@example.com')
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.db.update(sessions).set({ endedAt: w.clock.now }).where(eq(sessions.id, bob.session))
  assert.deepEqual(endedAt(await read(w, prod.id)), [])
})

test('there is no Access of a destination that is not there', async (t) => {
  const w = await world(t)
  assert.equal(await readAccess(w.db, 'none', { now: w.clock.now, settings: w.settings }), null)
})
