/**
 * Who sends a request, and whether a route lets them in.
 *
 * A wrong secret, an unknown id, an ended session, an expired key and a disabled user are one
 * answer: whoever guesses learns nothing from which it was.
 */
import type { BlockList } from 'node:net'
import { isIP } from 'node:net'
import { and, asc, eq, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import type { Actor, Who } from './call.ts'
import { type Credential, isSecretOf, parseCredential } from './credential.ts'
import { anyOf } from './db/any-of.ts'
import { Batches } from './db/batches.ts'
import { builtOnce } from './db/built.ts'
import type { Database } from './db/database.ts'
import { accessKeys, destinations, sessions, users } from './db/schema.ts'
import type { Settings } from './settings.ts'
import { Failure } from './wire/failure.ts'

type Idle = Pick<Settings, 'sessionIdleSeconds'>

/**
 * What the `Authorization` header proves. No header: a stranger.
 *
 * @throws {Failure} `unauthenticated` for a header that proves nothing: whoever meant to be
 * somebody must not go on as nobody.
 */
export async function actorOf(
  db: Database,
  authorization: string | undefined,
  now: Date,
  settings: Idle,
  who: Who = 'user',
): Promise<Actor> {
  if (authorization === undefined) return { kind: 'stranger' }
  const credential = parseCredential(/^Bearer ([!-~]+)$/i.exec(authorization)?.[1] ?? '')
  const actor = credential && (await ownerOf(db, credential, now, settings, who))
  if (!actor) throw new Failure('unauthenticated', 'the credential is not valid, or has ended')
  return actor
}

/** Looked for first where it is likely: no id is both. */
async function ownerOf(
  db: Database,
  credential: Credential,
  now: Date,
  settings: Idle,
  who: Who,
): Promise<Actor | null> {
  const bySession = () => sessionOwner(db, credential, now, settings)
  const byKey = () => keyOwner(db, credential, now)
  const [first, then] = who === 'connector' ? [byKey, bySession] : [bySession, byKey]
  return (await first()) ?? (await then())
}

/** Refuses whom a route does not let in. A connector's key opens nothing but its own routes. */
export function admit(actor: Actor, who: Who): void {
  if (who === 'anyone') return
  if (actor.kind === 'stranger') throw new Failure('unauthenticated', 'log in first')
  if (who === 'connector') {
    if (actor.kind !== 'connector') throw new Failure('forbidden', 'only a connector may do this')
    return
  }
  if (actor.kind !== 'user') throw new Failure('forbidden', "a connector's key may not do this")
  if (who === 'admin' && !actor.isAdmin) {
    throw new Failure('forbidden', 'only an administrator may do this')
  }
}

/**
 * The caller's address. What a proxy of ours wrote at the end of `X-Forwarded-For` is believed;
 * what stood before it came from the caller, who may write anything.
 *
 * @example
 * callerAddress('10.0.0.1', '6.6.6.6, 192.0.2.7', trusting10) // '192.0.2.7'
 */
export function callerAddress(
  peer: string,
  forwardedFor: string | undefined,
  trusted: BlockList,
): string {
  const hops = [...(forwardedFor ?? '').split(',').map((hop) => hop.trim()), plain(peer)]
  for (let hop = hops.pop(); hop !== undefined; hop = hops.pop()) {
    const family = isIP(hop)
    if (family === 0) return plain(peer)
    if (hops.length === 0 || !trusted.check(hop, family === 6 ? 'ipv6' : 'ipv4')) return hop
  }
  return plain(peer)
}

/** IPv4 that arrived at a socket of IPv6 is still IPv4. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=[0-9.]+$)/i, '')
}

/** Whether a session may still be used: neither ended, nor past its life, nor idle too long. */
export function isLive(
  session: { endedAt: Date | null; expiresAt: Date; lastUsedAt: Date },
  now: Date,
  { sessionIdleSeconds }: Idle,
): boolean {
  const idle = now.getTime() - session.lastUsedAt.getTime()
  return session.endedAt === null && session.expiresAt > now && idle < sessionIdleSeconds * 1000
}

export function isLiveKey(
  key: { endedAt: Date | null; expiresAt: Date | null },
  now: Date,
): boolean {
  return key.endedAt === null && (key.expiresAt === null || key.expiresAt > now)
}

const sessionById = builtOnce((db) =>
  db
    .select({ session: sessions, email: users.email, isAdmin: users.isAdmin })
    .from(sessions)
    .innerJoin(users, and(eq(users.id, sessions.userId), isNull(users.disabledAt)))
    .where(eq(sessions.id, sql.placeholder('id')))
    .prepare('session by id'),
)

async function sessionOwner(
  db: Database,
  { id, secret }: Credential,
  now: Date,
  settings: Idle,
): Promise<Actor | null> {
  const [row] = await sessionById(db).execute({ id })
  if (!row || !isSecretOf(secret, row.session.secretHash)) return null
  if (!isLive(row.session, now, settings)) return null
  const { session, email, isAdmin } = row
  const step = Math.min(markEverySeconds, settings.sessionIdleSeconds / 4)
  const before = new Date(now.getTime() - step * 1000)
  if (session.lastUsedAt < before) await markSession(db, id, now, before)
  const credential = { kind: 'session', id, expiresAt: session.expiresAt } as const
  return { kind: 'user', id: session.userId, email, isAdmin, credential }
}

/** A thousand connectors that come at once are looked up by a few statements. */
const keysById = builtOnce(
  (db) =>
    new Batches(async (ids: string[]) => {
      const rows = await db
        .select({ key: accessKeys, user: users, destination: destinations })
        .from(accessKeys)
        .leftJoin(users, and(eq(users.id, accessKeys.userId), isNull(users.disabledAt)))
        .leftJoin(destinations, eq(destinations.id, accessKeys.destinationId))
        .where(anyOf(accessKeys.id, ids))
      const found = new Map(rows.map((row) => [row.key.id, row]))
      return (id) => found.get(id)
    }),
)

/** Of a user who is not disabled, or of a destination's connector. */
async function keyOwner(
  db: Database,
  { id, secret }: Credential,
  now: Date,
): Promise<Actor | null> {
  const row = await keysById(db).ask(id)
  if (!row || !isSecretOf(secret, row.key.secretHash) || !isLiveKey(row.key, now)) return null
  const { key, user, destination } = row
  if (!user && !destination) return null
  await markKey(db, key, now)
  if (user) {
    const credential = { kind: 'key', id, expiresAt: key.expiresAt } as const
    return { kind: 'user', id: user.id, email: user.email, isAdmin: user.isAdmin, credential }
  }
  return (
    destination && {
      kind: 'connector',
      ...{ destinationId: destination.id, destinationName: destination.name, keyId: id },
    }
  )
}

/** Marks are no events, and rare: a busy caller must not keep the database writing. */
const markEverySeconds = 60

async function markSession(db: Database, id: string, now: Date, before: Date): Promise<void> {
  await db
    .update(sessions)
    .set({ lastUsedAt: now })
    .where(and(eq(sessions.id, id), lt(sessions.lastUsedAt, before)))
}

/** Marked by the newest word of those that are marked together. */
const keyMarks = builtOnce(
  (db) =>
    new Batches(async (used: { id: string; now: Date }[]) => {
      const now = used.reduce((latest, one) => (one.now > latest ? one.now : latest), new Date(0))
      const ids = new Set(used.map(({ id }) => id))
      const stale = or(isNull(accessKeys.lastUsedAt), lt(accessKeys.lastUsedAt, now))
      // In the order of their ids, so that two servers never wait for each other.
      const inOrder = db
        .select({ id: accessKeys.id })
        .from(accessKeys)
        .where(and(anyOf(accessKeys.id, ids), stale))
        .orderBy(asc(accessKeys.id))
        .for('no key update')
      await db.update(accessKeys).set({ lastUsedAt: now }).where(inArray(accessKeys.id, inOrder))
      return () => {}
    }),
)

async function markKey(
  db: Database,
  { id, lastUsedAt }: { id: string; lastUsedAt: Date | null },
  now: Date,
): Promise<void> {
  const before = new Date(now.getTime() - markEverySeconds * 1000)
  if (lastUsedAt === null || lastUsedAt < before) await keyMarks(db).ask({ id, now })
}
