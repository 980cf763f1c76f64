/**
 * The keys that sign tokens: ES256 pairs, their private halves sealed at rest.
 *
 * A new key is published at once and signs only when every connector that is let in by anything at
 * all must have it: Access brings it within the longest lease. The key before it stays published
 * until no token of it can be good.
 */
import { asc, desc, gt, isNull, lte, or, sql } from 'drizzle-orm'
import { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair, importPKCS8 } from 'jose'
import { SignJWT } from 'jose'
import { builtOnce } from './db/built.ts'
import type { Database } from './db/database.ts'
import { destinations, signingKeys } from './db/schema.ts'
import { record } from './events.ts'
import type { Sealer } from './seal.ts'
import type { Settings } from './settings.ts'
import { PublicKey } from './wire/access.ts'
import { tokenType } from './wire/tokens.ts'

const algorithm = 'ES256'
const system = { kind: 'system' } as const
const rotateEveryMs = 90 * 86_400_000
const marginSeconds = 300
/** Any number, as long as nothing else in this database locks by it. */
const lockKey = 4_772_002

type Lives = Pick<Settings, 'tokenSeconds' | 'leaseSeconds'>
type Row = typeof signingKeys.$inferSelect

/** The public halves of all keys by which a token may be good at `now`, or soon. */
export async function publicKeys(db: Database, now: Date): Promise<PublicKey[]> {
  const rows = await db
    .select()
    .from(signingKeys)
    .where(notRetired(now))
    .orderBy(signingKeys.createdAt, signingKeys.id)
  return rows.map((row) => PublicKey.parse(row.publicKey))
}

/** Makes the first key where there is none, which may sign at once: no token exists yet. */
export async function ensureSigningKey(db: Database, sealer: Sealer, now: Date): Promise<void> {
  await db.transaction(async (tx) => {
    await lock(tx)
    const [row] = await tx.select().from(signingKeys).where(notRetired(now)).limit(1)
    if (!row) await make(tx, sealer, now, now)
  })
}

/**
 * Makes the next key, unless one is waiting already, and says when the keys before it go. Gives
 * the instant from which the newest key signs.
 */
export async function rotate(
  db: Database,
  sealer: Sealer,
  now: Date,
  settings: Lives,
): Promise<Date> {
  return db.transaction(async (tx) => {
    await lock(tx)
    const [newest] = await tx
      .select()
      .from(signingKeys)
      .orderBy(desc(signingKeys.signsFrom))
      .limit(1)
    if (newest && newest.signsFrom > now) return newest.signsFrom
    const lease = await longestLease(tx, settings)
    const signsFrom = later(now, lease)
    const retiresAt = later(signsFrom, settings.tokenSeconds + lease + marginSeconds)
    await tx.update(signingKeys).set({ retiresAt }).where(isNull(signingKeys.retiresAt))
    await make(tx, sealer, now, signsFrom)
    return signsFrom
  })
}

/** Rotates when the newest key is ninety days old, and forgets those that are retired. */
export async function keepSigningKeys(
  db: Database,
  sealer: Sealer,
  now: Date,
  settings: Lives,
): Promise<void> {
  const [newest] = await db.select().from(signingKeys).orderBy(desc(signingKeys.createdAt)).limit(1)
  if (!newest) await ensureSigningKey(db, sealer, now)
  else if (now.getTime() - newest.createdAt.getTime() > rotateEveryMs) {
    await rotate(db, sealer, now, settings)
  }
  await retire(db, now)
}

async function retire(db: Database, now: Date): Promise<void> {
  const due = await db.select().from(signingKeys).where(lte(signingKeys.retiresAt, now)).limit(1)
  if (due.length === 0) return
  await db.transaction(async (tx) => {
    const gone = await tx.delete(signingKeys).where(lte(signingKeys.retiresAt, now)).returning()
    for (const { id } of gone) await recordOf(tx, now, 'signing_key.retired', id)
  })
}

export type TokenClaims = {
  destinationId: string
  userId: string
  credentialId: string
  expiresAt: Date
}

/** Signs a token with the newest key that may sign. */
export async function signToken(
  {
    db,
    sealer,
    now,
    settings,
  }: {
    db: Database
    sealer: Sealer
    now: Date
    settings: Pick<Settings, 'url'>
  },
  { destinationId, userId, credentialId, expiresAt }: TokenClaims,
): Promise<string> {
  const key = await signingKey(db, now)
  return new SignJWT({ sid: credentialId })
    .setProtectedHeader({ alg: algorithm, typ: tokenType, kid: key.id })
    .setIssuer(settings.url)
    .setAudience(destinationId)
    .setSubject(userId)
    .setIssuedAt(seconds(now))
    .setExpirationTime(seconds(expiresAt))
    .sign(await opened(sealer, key))
}

const newestSigning = builtOnce((db) =>
  db
    .select()
    .from(signingKeys)
    .where(lte(signingKeys.signsFrom, sql.placeholder('now')))
    .orderBy(desc(signingKeys.signsFrom), signingKeys.id)
    .limit(1)
    .prepare('newest signing key'),
)

async function signingKey(db: Database, now: Date): Promise<Row> {
  // A placeholder takes what the driver does: an instant as text.
  const [newest] = await newestSigning(db).execute({ now: now.toISOString() })
  const key = newest ?? (await firstKey(db))
  if (!key || (key.retiresAt !== null && key.retiresAt <= now)) {
    throw new Error('there is no key to sign tokens with')
  }
  return key
}

/** Where none signs yet, the clock was set back: the first of them has signed already. */
async function firstKey(db: Database): Promise<Row | undefined> {
  const [first] = await db
    .select()
    .from(signingKeys)
    .orderBy(asc(signingKeys.signsFrom), signingKeys.id)
    .limit(1)
  return first
}

/** Opened once a process: per sealer, because another sealer must not get what this one opened. */
const openedBy = new WeakMap<Sealer, Map<string, Promise<CryptoKey>>>()

async function opened(sealer: Sealer, { id, privateKey }: Row): Promise<CryptoKey> {
  const known = openedBy.get(sealer) ?? new Map<string, Promise<CryptoKey>>()
  openedBy.set(sealer, known)
  const key = known.get(id) ?? importPKCS8(sealer.open(privateKey, purposeOf(id)), algorithm)
  known.set(id, key)
  return key
}

async function make(tx: Database, sealer: Sealer, now: Date, signsFrom: Date): Promise<void> {
  const pair = await generateKeyPair(algorithm, { extractable: true })
  const jwk = await exportJWK(pair.publicKey)
  const id = await calculateJwkThumbprint(jwk)
  const publicKey = PublicKey.parse({ ...jwk, kid: id, alg: algorithm, use: 'sig' })
  const privateKey = sealer.seal(await exportPKCS8(pair.privateKey), purposeOf(id))
  await tx.insert(signingKeys).values({ id, publicKey, privateKey, createdAt: now, signsFrom })
  await recordOf(tx, now, 'signing_key.created', id)
}

async function recordOf(tx: Database, now: Date, kind: string, id: string): Promise<void> {
  await record(tx, system, now, { kind, detail: { signingKey: id }, destinations: null })
}

/** The longest lease of any destination, in seconds. */
async function longestLease(tx: Database, { leaseSeconds }: Lives): Promise<number> {
  const [row] = await tx
    .select({ most: sql<number>`coalesce(max(${destinations.leaseSeconds}), 0)`.mapWith(Number) })
    .from(destinations)
  return Math.max(leaseSeconds, row?.most ?? 0)
}

async function lock(tx: Database): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${lockKey})`)
}

function notRetired(now: Date) {
  return or(isNull(signingKeys.retiresAt), gt(signingKeys.retiresAt, now))
}

function purposeOf(id: string): string {
  return `signing key ${id}`
}

function later(from: Date, seconds: number): Date {
  return new Date(from.getTime() + seconds * 1000)
}

function seconds(at: Date): number {
  return Math.floor(at.getTime() / 1000)
}
