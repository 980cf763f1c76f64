import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { admit, callerAddress, isLive } from './admit.ts'
import type { Actor, Row, Who } from './call.ts'
import { accessKeys, sessions, users } from './db/schema.ts'
import { parseCredential } from './credential.ts'
import { routes } from './routes.ts'
import { rangesOf } from './settings-fields.ts'

async function ask(w: World, row: Row, credential: string | null): Promise<number> {
  const path = row.path.replace(/:[a-z]+/g, 'x')
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (credential !== null) headers['authorization'] = `Bearer ${credential}`
  const hasBody = row.method === 'POST' || row.method === 'PUT'
  const body = hasBody ? { body: '{}' } : {}
  const request = new Request(`http://server${path}`, { method: row.method, headers, ...body })
  return (await w.fetch(request)).status
}

/** What a caller gets of every row of one kind: refused with this status, or let in (null). */
async function statuses(
  w: World,
  who: Who,
  credential: string | null,
): Promise<Set<number | null>> {
  const found = new Set<number | null>()
  for (const row of routes.filter((one) => one.who === who)) {
    const status = await ask(w, row, credential)
    found.add(status === 401 || status === 403 ? status : null)
  }
  return found
}

test('every row but those for anyone refuses a stranger', async (t) => {
  const w = await world(t)
  for (const who of ['user', 'admin', 'connector'] as const) {
    assert.deepEqual(await statuses(w, who, null), new Set([401]))
  }
})

test('a user is let into rows for users, and refused by those for administrators and connectors', async (t) => {
  const w = await world(t)
  const { credential } = await w.user('ana@example.com')
  const rows = routes.filter(({ who, path }) => who === 'user' && path !== '/api/logout')
  for (const row of rows) assert.ok(![401, 403].includes(await ask(w, row, credential)), row.path)
  assert.deepEqual(await statuses(w, 'admin', credential), new Set([403]))
  assert.deepEqual(await statuses(w, 'connector', credential), new Set([403]))
})

test('an administrator is let into rows for administrators, and not into those for connectors', async (t) => {
  const w = await world(t)
  assert.deepEqual(await statuses(w, 'admin', w.admin.credential), new Set([null]))
  assert.deepEqual(await statuses(w, 'connector', w.admin.credential), new Set([403]))
})

test("L11: a connector's key opens its own rows and nothing else", async (t) => {
  const w = await world(t)
  const { accessKey } = await w.client.destinations.create({ name: 'prod' })
  assert.deepEqual(await statuses(w, 'connector', accessKey), new Set([null]))
  assert.deepEqual(await statuses(w, 'user', accessKey), new Set([403]))
  assert.deepEqual(await statuses(w, 'admin', accessKey), new Set([403]))
})

test('a secret of another credential, an altered one, and no secret are one refusal', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const bob = await w.user('bob@example.com')
  const { accessKey } = await w.client.destinations.create({ name: 'prod' })
  const secretOf = (credential: string) => parseCredential(credential)?.secret ?? ''
  const wrong = [
    `${ana.session}.${secretOf(bob.credential)}`,
    `${parseCredential(accessKey)?.id}.${secretOf(bob.credential)}`,
    `${ana.credential}x`,
    `unknown.${secretOf(ana.credential)}`,
    ana.session,
    'x',
  ]
  for (const credential of wrong) {
    await assert.rejects(w.clientOf(credential).me.get(), {
      code: 'unauthenticated',
      message: 'the credential is not valid, or has ended',
    })
  }
})

test('a session that ended, went past its life or was idle too long proves nobody', async (t) => {
  const w = await world(t)
  const { client } = await w.user('ana@example.com')
  const start = w.clock.now.getTime()
  const { sessionIdleSeconds, sessionSeconds } = w.settings
  w.clock.now = new Date(start + sessionIdleSeconds * 1000 - 1)
  await client.me.get()
  const afterUse = w.clock.now.getTime()
  w.clock.now = new Date(afterUse + sessionIdleSeconds * 1000)
  await assert.rejects(client.me.get(), { code: 'unauthenticated' })
  const row = { endedAt: null, expiresAt: new Date(start + sessionSeconds * 1000) }
  const end = row.expiresAt
  assert.equal(isLive({ ...row, lastUsedAt: end }, end, w.settings), false)
  assert.equal(isLive({ ...row, lastUsedAt: end }, new Date(end.getTime() - 1), w.settings), true)
  const ended = { ...row, endedAt: new Date(start), lastUsedAt: new Date(start) }
  assert.equal(isLive(ended, new Date(start), w.settings), false)
})

test('L6: the session and the keys of a disabled user prove nobody', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const { accessKey } = await ana.client.keys.create({ name: 'ci' })
  await w.clientOf(accessKey).me.get()
  // In the table, because the API ends the sessions as well.
  await w.db.update(users).set({ disabledAt: w.clock.now }).where(eq(users.id, ana.id))
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
  await assert.rejects(w.clientOf(accessKey).me.get(), { code: 'unauthenticated' })
})

test('a key past its expiry proves nobody, whether or not it was ended yet', async (t) => {
  const w = await world(t)
  const expiresAt = new Date(w.clock.now.getTime() + 60_000)
  const { accessKey } = await w.client.keys.create({
    name: 'ci',
    expiresAt: expiresAt.toISOString(),
  })
  await w.clientOf(accessKey).me.get()
  w.clock.now = expiresAt
  await assert.rejects(w.clientOf(accessKey).me.get(), { code: 'unauthenticated' })
})

test('last use is marked at most once a minute, and is no event', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const { accessKey, id } = await ana.client.keys.create({ name: 'ci' })
  const before = await w.client.events.list()
  const start = w.clock.now
  const marks = async (): Promise<(Date | null | undefined)[]> => {
    await ana.client.me.get()
    await w.clientOf(accessKey).me.get()
    const [session] = await w.db.select().from(sessions).where(eq(sessions.id, ana.session))
    const [key] = await w.db.select().from(accessKeys).where(eq(accessKeys.id, id))
    return [session?.lastUsedAt, key?.lastUsedAt]
  }
  assert.deepEqual(await marks(), [start, start])
  w.clock.now = new Date(start.getTime() + 59_000)
  assert.deepEqual(await marks(), [start, start])
  w.clock.now = new Date(start.getTime() + 61_000)
  assert.deepEqual(await marks(), [w.clock.now, w.clock.now])
  assert.deepEqual(await w.client.events.list(), before)
})

test('who is neither a user nor a connector is let into rows for anyone only', () => {
  const system: Actor = { kind: 'system' }
  for (const who of ['user', 'admin', 'connector'] as const) {
    assert.throws(() => admit(system, who), { code: 'forbidden' })
    assert.throws(() => admit({ kind: 'stranger' }, who), { code: 'unauthenticated' })
  }
  admit({ kind: 'stranger' }, 'anyone')
})

test('the address of a caller is what a proxy of ours added, and nothing the caller wrote', () => {
  const ours = rangesOf(['10.0.0.0/8', '2001:db8::/32'])
  const address = (peer: string, forwarded?: string) => callerAddress(peer, forwarded, ours)
  assert.equal(address('192.0.2.7'), '192.0.2.7')
  assert.equal(address('192.0.2.7', '6.6.6.6'), '192.0.2.7')
  assert.equal(address('10.0.0.1', '6.6.6.6, 192.0.2.7'), '192.0.2.7')
  assert.equal(address('10.0.0.1', '6.6.6.6, 192.0.2.7, 10.9.9.9'), '192.0.2.7')
  assert.equal(address('::ffff:10.0.0.1', '192.0.2.7'), '192.0.2.7')
  assert.equal(address('2001:db8::1', '2001:db9::7'), '2001:db9::7')
  assert.equal(address('10.0.0.1', 'nonsense'), '10.0.0.1')
  assert.equal(address('10.0.0.1'), '10.0.0.1')
  assert.equal(callerAddress('10.0.0.1', '192.0.2.7', rangesOf([])), '10.0.0.1')
})
