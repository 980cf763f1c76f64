/** The first administrator: made at the first start, and the way back when the last one is lost. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { and, eq, isNull, ne } from 'drizzle-orm'
import { type Credential, hashSecret, isSecretOf, newId, parseCredential } from './credential.ts'
import type { Database } from './db/database.ts'
import { accessKeys, users } from './db/schema.ts'
import { destinationsOfUser } from './concerns.ts'
import { record } from './events.ts'
import { hashPassword, oneTimePassword } from './passwords.ts'
import type { Settings } from './settings.ts'
import { Failure } from './wire/failure.ts'
import { log } from './wire/log.ts'

type FirstSettings = Pick<Settings, 'dataDir' | 'adminEmail' | 'adminPassword' | 'adminAccessKey'>
type UserRow = typeof users.$inferSelect

const system = { kind: 'system' } as const
const keyName = 'admin'

export const defaultEmail = 'admin@infra.local'

/**
 * Makes the administrator that the settings name, or one of our choice where there is none at all;
 * and gives that administrator the access key of the settings. Who exists already keeps password
 * and standing: a restart undoes nothing that people decided.
 */
export async function ensureAdministrator(
  db: Database,
  settings: FirstSettings,
  now: Date,
): Promise<void> {
  const email = settings.adminEmail ?? defaultEmail
  const [known] = await db.select().from(users).where(eq(users.email, email))
  const [other] = await db.select({ id: users.id }).from(users).where(eq(users.isAdmin, true))
  const isNamed = settings.adminEmail !== null || settings.adminAccessKey !== null
  if (!known && (!other || isNamed)) await makeAdministrator(db, email, settings, now)
  const key = settings.adminAccessKey === null ? null : parseCredential(settings.adminAccessKey)
  if (key) await giveKey(db, email, key, now)
}

/**
 * Makes an administrator of whoever the settings name, with a new password: for an installation
 * that has lost all of its own. To be run on the host, where the data directory is.
 */
export async function resetAdministrator(
  db: Database,
  settings: FirstSettings,
  now: Date,
): Promise<void> {
  const email = settings.adminEmail ?? defaultEmail
  const [known] = await db.select().from(users).where(eq(users.email, email))
  if (!known) return makeAdministrator(db, email, settings, now)
  const passwordHash = await hashPassword(settings.adminPassword ?? writePassword(email, settings))
  await db.transaction(async (tx) => {
    await tx
      .update(users)
      .set({ isAdmin: true, disabledAt: null, passwordHash, isPasswordOneTime: false })
      .where(eq(users.id, known.id))
    const detail = {
      user: { id: known.id, email },
      admin: true,
      disabled: false,
      password: 'reset',
    }
    const destinations = await destinationsOfUser(tx, known.id)
    await record(tx, system, now, { kind: 'user.updated', detail, destinations })
  })
}

async function makeAdministrator(
  db: Database,
  email: string,
  settings: FirstSettings,
  now: Date,
): Promise<void> {
  const passwordHash = await hashPassword(settings.adminPassword ?? writePassword(email, settings))
  const row = { id: newId(), email, isAdmin: true, passwordHash, createdAt: now }
  await db.transaction(async (tx) => {
    // Of two replicas that start at once, one makes the administrator.
    const made = await tx.insert(users).values(row).onConflictDoNothing().returning()
    if (made.length === 0) return
    const detail = { user: { id: row.id, email }, admin: true }
    await record(tx, system, now, { kind: 'user.created', detail, destinations: [] })
  })
}

/** Written before it counts: a password that is set and known to nobody would lock everyone out. */
function writePassword(email: string, { dataDir }: FirstSettings): string {
  const password = oneTimePassword()
  const path = join(dataDir, 'admin-password')
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  writeFileSync(path, `${password}\n`, { mode: 0o600 })
  log('info', 'a password was made for the administrator', { email, file: path })
  // On a terminal somebody reads it once; anywhere else stderr is collected and kept.
  if (process.stderr.isTTY) process.stderr.write(`${email}: ${password}\n`)
  return password
}

/** The key of the settings, and no earlier one of theirs. */
async function giveKey(db: Database, email: string, key: Credential, now: Date): Promise<void> {
  await db.transaction(async (tx) => {
    const [user] = await tx.select().from(users).where(eq(users.email, email))
    if (!user) throw new Error('the administrator was not made')
    const [found] = await tx.select().from(accessKeys).where(eq(accessKeys.id, key.id))
    if (found) return replaceSecret(tx, user, found, key, now)
    await endEarlier(tx, user, key.id, now)
    await tx.insert(accessKeys).values({
      ...{ id: key.id, name: await freeName(tx, key.id), secretHash: hashSecret(key.secret) },
      ...{ userId: user.id, createdAt: now },
    })
    await recordKey(tx, user, 'key.created', key.id, now)
  })
}

async function replaceSecret(
  tx: Database,
  user: UserRow,
  found: typeof accessKeys.$inferSelect,
  { id, secret }: Credential,
  now: Date,
): Promise<void> {
  if (found.userId !== user.id) {
    throw new Failure('invalid', "INFRA_ADMIN_ACCESS_KEY: its id is that of somebody else's key")
  }
  // Whoever revoked it meant it; a restart must not bring it back.
  if (found.endedAt !== null) {
    log('warn', 'the access key of INFRA_ADMIN_ACCESS_KEY was revoked and stays so', { key: id })
    return
  }
  if (isSecretOf(secret, found.secretHash)) return
  await tx
    .update(accessKeys)
    .set({ secretHash: hashSecret(secret) })
    .where(eq(accessKeys.id, id))
  await recordKey(tx, user, 'key.replaced', id, now)
}

async function endEarlier(tx: Database, user: UserRow, id: string, now: Date): Promise<void> {
  const ended = await tx
    .update(accessKeys)
    .set({ endedAt: now })
    .where(
      and(
        ...[eq(accessKeys.userId, user.id), eq(accessKeys.name, keyName)],
        ...[isNull(accessKeys.endedAt), ne(accessKeys.id, id)],
      ),
    )
    .returning()
  for (const key of ended) await recordKey(tx, user, 'key.revoked', key.id, now)
}

async function freeName(tx: Database, id: string): Promise<string> {
  const [taken] = await tx
    .select({ id: accessKeys.id })
    .from(accessKeys)
    .where(and(eq(accessKeys.name, keyName), isNull(accessKeys.endedAt)))
  return taken ? `${keyName} ${id}` : keyName
}

async function recordKey(
  tx: Database,
  user: UserRow,
  kind: string,
  id: string,
  now: Date,
): Promise<void> {
  const detail = { key: { id, name: keyName }, for: user.email }
  const destinations = kind === 'key.created' ? [] : await destinationsOfUser(tx, user.id)
  await record(tx, system, now, { kind, detail, destinations })
}
