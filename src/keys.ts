/** Access keys: long-lived credentials made on purpose, for automation and for connectors. */
import { and, asc, eq, isNull, or, type SQL } from 'drizzle-orm'
import { type Call, userOf } from './call.ts'
import { destinationsOfUser } from './concerns.ts'
import { formatCredential, hashSecret, newCredential } from './credential.ts'
import type { Database } from './db/database.ts'
import { accessKeys, destinations, users } from './db/schema.ts'
import { record } from './events.ts'
import { findUser } from './users.ts'
import { type Subject, userSubject } from './wire/access.ts'
import { Failure } from './wire/failure.ts'
import type { AccessKey, CreatedAccessKey, KeyRef } from './wire/keys.ts'
import type { Changed } from './wire/shared.ts'

type KeyRow = typeof accessKeys.$inferSelect
type Found = { key: KeyRow; user: string | null; destination: string | null }
type Owner =
  | { userId: string; destinationId: null; name: string }
  | { userId: null; destinationId: string; name: string }

/** All keys for an administrator; a user's own for everybody else. */
export async function listKeys(call: Call): Promise<AccessKey[]> {
  const { id, isAdmin } = userOf(call)
  const found = await findKeys(call.db, isAdmin ? undefined : eq(accessKeys.userId, id))
  return found.map(toWire)
}

/**
 * Makes a key. The secret is in the reply and nowhere else.
 *
 * @throws {Failure} `forbidden` for another user's or a connector's key, unless an administrator
 * asks; `not_found`; `conflict` when the name is taken.
 */
export async function createKey(
  call: Call,
  words: {
    name: string
    user?: string | undefined
    destination?: string | undefined
    expiresAt: string | null
  },
): Promise<CreatedAccessKey> {
  const caller = userOf(call)
  const expiresAt = words.expiresAt === null ? null : new Date(words.expiresAt)
  if (expiresAt && expiresAt <= call.now) throw new Failure('invalid', 'expiresAt: is in the past')
  return call.db.transaction(async (tx) => {
    const owner = await ownerOf(tx, words, caller.email)
    if (!caller.isAdmin && owner.userId !== caller.id) {
      throw new Failure('forbidden', 'only an administrator makes keys for others')
    }
    const { row, accessKey } = await insertKey(tx, words.name, owner, expiresAt, call.now)
    const detail = {
      key: { id: row.id, name: row.name },
      for: owner.name,
      expiresAt: words.expiresAt,
    }
    const revision = await record(tx, call.actor, call.now, {
      kind: 'key.created',
      detail,
      destinations: [],
    })
    const found = { key: row, ...namesOf(owner) }
    return { ...toWire(found), accessKey, revision }
  })
}

/**
 * Ends a key at once: what came in by it is severed, a connector's link is closed.
 *
 * @throws {Failure} `not_found`, also for a key of somebody else's that one may not see.
 */
export async function revokeKey(call: Call, { key: ref }: KeyRef): Promise<Changed> {
  const caller = userOf(call)
  return call.db.transaction(async (tx) => {
    const [found] = await findKeys(tx, or(eq(accessKeys.id, ref), eq(accessKeys.name, ref)))
    const isSeen = found && (caller.isAdmin || found.key.userId === caller.id)
    const key = isSeen ? await endKey(tx, found.key.id, call.now) : null
    if (!key) throw new Failure('not_found', `there is no access key ${JSON.stringify(ref)}`)
    const detail = { key: { id: key.id, name: key.name } }
    const concerned = await destinationsOfKey(tx, key)
    const subjects = subjectsOfKey(key)
    const happening = { kind: 'key.revoked', detail, destinations: concerned, subjects }
    return {
      revision: await record(tx, call.actor, call.now, happening),
      destinations: concerned,
    }
  })
}

/** Ends every access key of a user whom the system found gone, and says why. */
export async function withdrawKeys(
  tx: Database,
  { userId, reason }: { userId: string; reason: string },
  now: Date,
): Promise<void> {
  const ended = await tx
    .update(accessKeys)
    .set({ endedAt: now })
    .where(and(eq(accessKeys.userId, userId), isNull(accessKeys.endedAt)))
    .returning()
  for (const key of ended) {
    const detail = { key: { id: key.id, name: key.name }, user: { id: userId }, reason }
    const concerned = await destinationsOfKey(tx, key)
    const subjects = subjectsOfKey(key)
    const happening = { kind: 'key.revoked', detail, destinations: concerned, subjects }
    await record(tx, { kind: 'system' }, now, happening)
  }
}

/** Null where somebody else ended it at this instant. */
async function endKey(tx: Database, id: string, now: Date): Promise<KeyRow | null> {
  const [ended] = await tx
    .update(accessKeys)
    .set({ endedAt: now })
    .where(and(eq(accessKeys.id, id), isNull(accessKeys.endedAt)))
    .returning()
  return ended ?? null
}

/** Writes a key; whoever calls records what it is part of. */
export async function insertKey(
  tx: Database,
  name: string,
  { userId, destinationId }: Owner,
  expiresAt: Date | null,
  now: Date,
): Promise<{ row: KeyRow; accessKey: string }> {
  const made = newCredential()
  const [row] = await tx
    .insert(accessKeys)
    .values({
      id: made.id,
      name,
      secretHash: hashSecret(made.secret),
      userId,
      destinationId,
      expiresAt,
      createdAt: now,
    })
    .returning()
  if (!row) throw new Error('an access key was not written')
  return { row, accessKey: formatCredential(made) }
}

/** Where the end of a key is felt. */
export async function destinationsOfKey(
  tx: Database,
  { userId, destinationId }: Pick<KeyRow, 'userId' | 'destinationId'>,
): Promise<string[]> {
  if (destinationId !== null) return [destinationId]
  return userId === null ? [] : destinationsOfUser(tx, userId)
}

/** A connector's key is nobody's subject: its link is closed, and Access stays as it is. */
export function subjectsOfKey({ userId }: Pick<KeyRow, 'userId'>): Subject[] {
  return userId === null ? [] : [userSubject(userId)]
}

async function ownerOf(
  tx: Database,
  { user, destination }: { user?: string | undefined; destination?: string | undefined },
  callerEmail: string,
): Promise<Owner> {
  if (destination === undefined) {
    const row = await findUser(tx, user ?? callerEmail)
    return { userId: row.id, destinationId: null, name: row.email }
  }
  const [row] = await tx
    .select({ id: destinations.id, name: destinations.name })
    .from(destinations)
    .where(or(eq(destinations.id, destination), eq(destinations.name, destination)))
  if (!row) throw new Failure('not_found', `there is no destination ${JSON.stringify(destination)}`)
  return { userId: null, destinationId: row.id, name: row.name }
}

async function findKeys(tx: Database, which: SQL | undefined): Promise<Found[]> {
  return tx
    .select({ key: accessKeys, user: users.email, destination: destinations.name })
    .from(accessKeys)
    .leftJoin(users, eq(users.id, accessKeys.userId))
    .leftJoin(destinations, eq(destinations.id, accessKeys.destinationId))
    .where(and(isNull(accessKeys.endedAt), which))
    .orderBy(asc(accessKeys.name))
}

function namesOf(owner: Owner): { user: string | null; destination: string | null } {
  return owner.userId === null
    ? { user: null, destination: owner.name }
    : { user: owner.name, destination: null }
}

function toWire({ key, user, destination }: Found): AccessKey {
  return {
    id: key.id,
    name: key.name,
    user,
    destination,
    expiresAt: key.expiresAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    createdAt: key.createdAt.toISOString(),
  }
}
