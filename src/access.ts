/** Reads the Access of one destination from the tables. */
import { createHash } from 'node:crypto'
import { and, asc, eq, exists, gt, inArray, isNotNull, isNull, or, sql } from 'drizzle-orm'
import type { Database } from './db/database.ts'
import * as t from './db/schema.ts'
import { newest } from './events.ts'
import type { Settings } from './settings.ts'
import { publicKeys } from './signing.ts'
import type { Access } from './wire/access.ts'
import { maxLeaseSeconds } from './wire/destinations.ts'

/**
 * How long an ended session is still told: the longest life of a token, and then the longest lease
 * of a connector that was cut off when it ended (threats.md P2). Both are at most a day, whatever
 * was set when the token was signed; so no change of a setting shortens what was promised.
 */
const toldSeconds = 2 * maxLeaseSeconds + 3600

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
    const users = await readUsers(tx, destinationId)
    const since = new Date(now.getTime() - toldSeconds * 1000)
    const revision = await newest(tx)
    const content = {
      destination: { id: destination.id, name: destination.name },
      epoch: await readEpoch(tx),
      issuer: settings.url,
      leaseSeconds: destination.leaseSeconds ?? settings.leaseSeconds,
      onLeaseEnd: destination.onLeaseEnd,
      users,
      groups: await readGroups(tx, destinationId),
      grants: await readGrants(tx, destinationId),
      endedSessions: await readEnded(tx, destinationId, since),
      signingKeys: await publicKeys(tx, now),
    }
    return { ...content, revision, digest: digestOf(content) }
  }
  return db.transaction(read, { isolationLevel: 'repeatable read', accessMode: 'read only' })
}

/** The same for the same content, whatever its revision: read twice, it comes in the same order. */
function digestOf(content: Omit<Access, 'revision' | 'digest'>): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('base64url')
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

async function readUsers(tx: Database, destinationId: string): Promise<Access['users']> {
  const granted = grantedGroups(tx, destinationId)
  const belongs = and(eq(t.memberships.userId, t.users.id), inArray(t.memberships.groupId, granted))
  const rows = await tx
    .select({ id: t.users.id, email: t.users.email, group: t.memberships.groupId })
    .from(t.users)
    .leftJoin(t.memberships, belongs)
    .where(and(isNull(t.users.disabledAt), isGranted(tx, destinationId, t.users.id)))
    .orderBy(asc(t.users.id), asc(t.memberships.groupId))
  const users = Map.groupBy(rows, (row) => row.id)
  return [...users.values()].map((of) => ({
    id: of[0]?.id ?? '',
    email: of[0]?.email ?? '',
    groups: of.flatMap(({ group }) => (group === null ? [] : [group])),
  }))
}

async function readGroups(tx: Database, destinationId: string): Promise<Access['groups']> {
  return tx
    .select({ id: t.groups.id, name: t.groups.name })
    .from(t.groups)
    .where(inArray(t.groups.id, grantedGroups(tx, destinationId)))
    .orderBy(asc(t.groups.id))
}

async function readGrants(tx: Database, destinationId: string): Promise<Access['grants']> {
  const rows = await tx
    .select()
    .from(t.grants)
    .where(eq(t.grants.destinationId, destinationId))
    .orderBy(asc(t.grants.id))
  return rows.flatMap(({ id, userId, groupId, role, namespace, expiresAt }) => {
    const subject = userId
      ? ({ kind: 'user', id: userId } as const)
      : groupId && ({ kind: 'group', id: groupId } as const)
    // The table's check lets no row through without a subject; such a row would let nobody in.
    if (!subject) return []
    return [{ id, subject, role, namespace, expiresAt: expiresAt?.toISOString() ?? null }]
  })
}

/** Sessions and access keys: a token names either as its `sid`. */
async function readEnded(tx: Database, destinationId: string, since: Date): Promise<string[]> {
  const sessions = await tx
    .select({ id: t.sessions.id })
    .from(t.sessions)
    .innerJoin(t.users, eq(t.users.id, t.sessions.userId))
    .where(and(gt(t.sessions.endedAt, since), isGranted(tx, destinationId, t.users.id)))
  const keys = await tx
    .select({ id: t.accessKeys.id })
    .from(t.accessKeys)
    .innerJoin(t.users, eq(t.users.id, t.accessKeys.userId))
    .where(and(gt(t.accessKeys.endedAt, since), isGranted(tx, destinationId, t.users.id)))
  return [...sessions, ...keys].map(({ id }) => id).toSorted()
}
