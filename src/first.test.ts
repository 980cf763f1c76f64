import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { sql } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { formatCredential, newCredential } from './credential.ts'
import { users } from './db/schema.ts'
import { defaultEmail, ensureAdministrator, resetAdministrator } from './first.ts'
import { ensureInstallation, openSealer } from './installation.ts'
import { Sealer } from './seal.ts'
import { verifyPassword } from './passwords.ts'

function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'infra-first-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** A world that nobody administrates yet. */
async function fresh(t: TestContext) {
  const w = await world(t)
  await w.db.execute(sql`truncate users cascade`)
  const dataDir = directory(t)
  const none = { dataDir, adminEmail: null, adminPassword: null, adminAccessKey: null }
  return { w, dataDir, none }
}

async function login(w: World, email: string, password: string): Promise<boolean> {
  const all = await w.db.select().from(users)
  const row = all.find((user) => user.email === email)
  return verifyPassword(row?.passwordHash ?? null, password)
}

const key = (): string => formatCredential(newCredential())

test('without settings an administrator is made once, with a password in a file for its owner only', async (t) => {
  const { w, dataDir, none } = await fresh(t)
  await ensureAdministrator(w.db, none, w.clock.now)
  const path = join(dataDir, 'admin-password')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const password = readFileSync(path, 'utf8').trim()
  assert.ok(await login(w, defaultEmail, password))
  await ensureAdministrator(w.db, none, w.clock.now)
  assert.equal(readFileSync(path, 'utf8').trim(), password)
  assert.equal((await w.db.select().from(users)).length, 1)
})

test('the settings name the first administrator; later starts undo nothing', async (t) => {
  const { w, none } = await fresh(t)
  const settings = { ...none, adminEmail: 'root@example.com', adminPassword: 'correct horse' }
  await ensureAdministrator(w.db, settings, w.clock.now)
  assert.ok(await login(w, 'root@example.com', 'correct horse'))
  await w.db.update(users).set({ isAdmin: false })
  await ensureAdministrator(w.db, { ...settings, adminPassword: 'another one' }, w.clock.now)
  assert.ok(await login(w, 'root@example.com', 'correct horse'))
  assert.equal((await w.db.select().from(users))[0]?.isAdmin, false)
})

test('where there is an administrator, no other is made unasked', async (t) => {
  const w = await world(t)
  const none = {
    dataDir: directory(t),
    adminEmail: null,
    adminPassword: null,
    adminAccessKey: null,
  }
  await ensureAdministrator(w.db, none, w.clock.now)
  assert.equal((await w.db.select().from(users)).length, 1)
})

test('the access key of the settings opens everything; another in its place ends it', async (t) => {
  const { w, none } = await fresh(t)
  const [one, two] = [key(), key()]
  for (const adminAccessKey of [one, one, two]) {
    await ensureAdministrator(w.db, { ...none, adminAccessKey }, w.clock.now)
  }
  const events = await w.clientOf(two).events.list()
  await assert.rejects(w.clientOf(one).me.get(), { code: 'unauthenticated' })
  assert.deepEqual(
    events.slice(-3).map(({ kind }) => kind),
    ['key.created', 'key.revoked', 'key.created'],
  )
  const named = await w.clientOf(two).keys.list()
  assert.deepEqual(
    named.map(({ name, user }) => [name, user]),
    [['admin', defaultEmail]],
  )
})

test('the same id with another secret replaces the secret', async (t) => {
  const { w, none } = await fresh(t)
  const [one, two] = [`abc.${'1'.repeat(43)}`, `abc.${'2'.repeat(43)}`]
  for (const adminAccessKey of [one, two]) {
    await ensureAdministrator(w.db, { ...none, adminAccessKey }, w.clock.now)
  }
  await w.clientOf(two).me.get()
  await assert.rejects(w.clientOf(one).me.get(), { code: 'unauthenticated' })
})

test('a key of the settings that was revoked stays so over a restart', async (t) => {
  const { w, none } = await fresh(t)
  const adminAccessKey = key()
  await ensureAdministrator(w.db, { ...none, adminAccessKey }, w.clock.now)
  await w.clientOf(adminAccessKey).keys.revoke('admin')
  await ensureAdministrator(w.db, { ...none, adminAccessKey }, w.clock.now)
  await assert.rejects(w.clientOf(adminAccessKey).me.get(), { code: 'unauthenticated' })
})

test("an id that is somebody else's key is refused", async (t) => {
  const w = await world(t)
  const { accessKey } = await w.client.destinations.create({ name: 'prod' })
  const settings = { dataDir: directory(t), adminEmail: null, adminPassword: null }
  const ensuring = ensureAdministrator(
    w.db,
    { ...settings, adminAccessKey: accessKey },
    w.clock.now,
  )
  await assert.rejects(ensuring, { code: 'invalid', message: /^INFRA_ADMIN_ACCESS_KEY: / })
})

test('L12: reset-admin makes an administrator again of whoever was demoted and disabled', async (t) => {
  const { w, none, dataDir } = await fresh(t)
  await ensureAdministrator(w.db, none, w.clock.now)
  await w.db.update(users).set({ isAdmin: false, disabledAt: w.clock.now, passwordHash: null })
  await resetAdministrator(w.db, none, w.clock.now)
  const [user] = await w.db.select().from(users)
  assert.deepEqual([user?.isAdmin, user?.disabledAt], [true, null])
  const password = readFileSync(join(dataDir, 'admin-password'), 'utf8').trim()
  assert.ok(await login(w, defaultEmail, password))
})

test('the sealing key is made once, for its owner only, and a named file must be there', (t) => {
  const dir = directory(t)
  const sealed = openSealer(dir, null).seal('a', 'b')
  assert.equal(openSealer(dir, null).open(sealed, 'b'), 'a')
  assert.equal(statSync(join(dir, 'sealing.key')).mode & 0o777, 0o600)
  assert.throws(() => openSealer(dir, join(dir, 'none')), { code: 'invalid' })
  writeFileSync(join(dir, 'short'), randomBytes(16).toString('base64'))
  assert.throws(() => openSealer(dir, join(dir, 'short')), { code: 'invalid' })
})

test('S4: with another sealing key the server refuses to start, and says so', async (t) => {
  const w = await world(t)
  await ensureInstallation(w.db, w.sealer)
  await assert.rejects(ensureInstallation(w.db, new Sealer(randomBytes(32))), {
    code: 'invalid',
    message: 'the sealing key is not the one that the secrets in the database were sealed with',
  })
})
