/** Reads the Access of one destination from the tables. */
import {
  and,
  asc,
  eq,
  exists,
  gt,
  inArray,
  isNotNull,
  isNull,
  or,
  type SQL,
  sql,
} from 'drizzle-orm'
import type { Database } from './db/database.ts'
import * as t from './db/schema.ts'
import { newest } from './events.ts'
import { subjectOf } from './grants.ts'
import type { Settings } from './settings.ts'
import { publicKeys } from './signing.ts'
import type { Access, AccessGrant } from './wire/access.ts'
import { maxLeaseSeconds } from './wire/destinations.ts'

/**
 * How long an ended session is still told: the longest life of a token, and then the longest lease
 * of a connector that was cut off when it ended (security.md P2). Both are at most a day, whatever
 * was set when the token was signed; so no change of a setting shortens what was promised.
 */
const toldSeconds = 2 * maxLeaseSeconds + 3600
const dayMs = 86_400_000

/** A session or an access key, and when it ended. */
export type Ended = { id: string; at: Date }

/**
 * All that a destination may let in, with the number of the event up to which it is true; null
 * where there is no such destination. One snapshot: grants, groups and number belong together.
 */
export async function readAccess(
  db: Database,
  destinationId: string,
  { now, settings }: { now: Date; settings: Pick<Settings, 'url' | 'leaseSeconds'> },
): Promise<Access | null> {
  const read = async (tx: Database): Promise<Access | null> => {
    const [destination] = await tx
      .select()
      .from(t.destinations)
      .where(eq(t.destinations.id, destinationId))
    if (!destination) return null
    const users = await readUsers(tx, destinationId, toldSince(destinationId, now))
    const groups = await readGroups(tx, destinationId)
    return {
      destination: { id: destination.id, name: destination.name },
      epoch: await readEpoch(tx),
      revision: await newest(tx),
      issuer: settings.url,
      leaseSeconds: destination.leaseSeconds ?? settings.leaseSeconds,
      onLeaseEnd: destination.onLeaseEnd,
      users,
      groups,
      grants: await readGrants(tx, destinationId, { users, groups }),
      signingKeys: await publicKeys(tx, now),
    }
  }
  return db.transaction(read, { isolationLevel: 'repeatable read', accessMode: 'read only' })
}

/**
 * Since when ended sessions are told at a destination. It moves once a day, for each destination at
 * another time of the day: between two such moments Access read anew is the Access that was sent,
 * unless something happened.
 */
export function toldSince(destinationId: string, now: Date): Date {
  const ownMs = Buffer.from(destinationId).reduce((sum, byte) => (sum * 31 + byte) % dayMs, 0)
  const since = now.getTime() - toldSeconds * 1000
  return new Date(since - ((since - ownMs) % dayMs))
}

/** No destination is told of what ended before this. */
export function earliestTold(now: Date): Date {
  return new Date(now.getTime() - toldSeconds * 1000 - dayMs)
}

/** Which database this is: revisions compare only within one epoch. */
export async function readEpoch(db: Database): Promise<string> {
  const [row] = await db.select({ epoch: t.installation.epoch }).from(t.installation)
  if (!row) throw new Error('the database has no epoch')
  return row.epoch
}

/** The groups that have a grant there. */
function grantedGroups(tx: Database, destinationId: string) {
  return tx
    .select({ id: t.grants.groupId })
    .from(t.grants)
    .where(and(eq(t.grants.destinationId, destinationId), isNotNull(t.grants.groupId)))
}

/** Whether the user of the outer query is let in there by anything, directly or by a group. */
function isGranted(tx: Database, destinationId: string, userId: typeof t.users.id) {
  const direct = tx
    .select({ one: sql`1` })
    .from(t.grants)
    .where(and(eq(t.grants.destinationId, destinationId), eq(t.grants.userId, userId)))
  const byGroup = tx
    .select({ one: sql`1` })
    .from(t.memberships)
    .where(
      and(
        eq(t.memberships.userId, userId),
        inArray(t.memberships.groupId, grantedGroups(tx, destinationId)),
      ),
    )
  return or(exists(direct), exists(byGroup))
}

async function readUsers(
  tx: Database,
  destinationId: string,
  since: Date,
): Promise<Access['users']> {
  const granted = grantedGroups(tx, destinationId)
  const belongs = and(eq(t.memberships.userId, t.users.id), inArray(t.memberships.groupId, granted))
  const rows = await tx
    .select({ id: t.users.id, email: t.users.email, group: t.memberships.groupId })
    .from(t.users)
    .leftJoin(t.memberships, belongs)
    .where(and(isNull(t.users.disabledAt), isGranted(tx, destinationId, t.users.id)))
    .orderBy(asc(t.users.id), asc(t.memberships.groupId))
  const ended = await readEnded(tx, since, isGranted(tx, destinationId, t.users.id))
  return [...Map.groupBy(rows, (row) => row.id)].map(([id, of]) => ({
    id,
    email: of[0]?.email ?? '',
    groups: of.flatMap(({ group }) => (group === null ? [] : [group])),
    ended: (ended.get(id) ?? []).map((session) => session.id),
  }))
}

async function readGroups(tx: Database, destinationId: string): Promise<Access['groups']> {
  return tx
    .select({ id: t.groups.id, name: t.groups.name })
    .from(t.groups)
    .where(inArray(t.groups.id, grantedGroups(tx, destinationId)))
    .orderBy(asc(t.groups.id))
}

/** A disabled user's grants are there, and let nobody in. */
async function readGrants(
  tx: Database,
  destinationId: string,
  subjects: Pick<Access, 'users' | 'groups'>,
): Promise<Access['grants']> {
  const there = new Set([...subjects.users, ...subjects.groups].map(({ id }) => id))
  const rows = await tx
    .select()
    .from(t.grants)
    .where(eq(t.grants.destinationId, destinationId))
    .orderBy(asc(t.grants.id))
  return rows.map(toAccessGrant).filter(({ subject }) => there.has(subject.id))
}

/** A grant's row, as Access has it. */
export function toAccessGrant(row: typeof t.grants.$inferSelect): AccessGrant {
  const { id, role, namespace, expiresAt } = row
  return {
    id,
    subject: subjectOf(row),
    role,
    namespace,
    expiresAt: expiresAt?.toISOString() ?? null,
  }
}

/**
 * What ended since `since` of the users whom `who` picks. Sessions and access keys: a token names
 * either as its `sid`.
 */
export async function readEnded(
  tx: Database,
  since: Date,
  who: SQL | undefined,
): Promise<Map<string, Ended[]>> {
  const sessions = await tx
    .select({ id: t.sessions.id, at: t.sessions.endedAt, user: t.users.id })
    .from(t.sessions)
    .innerJoin(t.users, eq(t.users.id, t.sessions.userId))
    .where(and(gt(t.sessions.endedAt, since), who))
  const keys = await tx
    .select({ id: t.accessKeys.id, at: t.accessKeys.endedAt, user: t.users.id })
    .from(t.accessKeys)
    .innerJoin(t.users, eq(t.users.id, t.accessKeys.userId))
    .where(and(gt(t.accessKeys.endedAt, since), who))
  const ended = [...sessions, ...keys].flatMap(({ id, at, user }) => (at ? [{ id, at, user }] : []))
  return Map.groupBy(ended, ({ user }) => user)
}
