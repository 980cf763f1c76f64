/** Grants: the only source of access to clusters. Never edited: revoked, and created anew. */
import { and, asc, eq, gt, inArray, isNull, or, type SQL, sql } from 'drizzle-orm'
import { type Call, userOf } from './call.ts'
import { newId } from './credential.ts'
import type { Database } from './db/database.ts'
import { destinations, grants, groups, memberships, users } from './db/schema.ts'
import { findDestination } from './destinations.ts'
import { record } from './events.ts'
import { findGroup, groupForGrant } from './groups.ts'
import { findUser } from './users.ts'
import { type Subject, userSubject } from './wire/access.ts'
import type { MyDestination } from './wire/destinations.ts'
import { Failure } from './wire/failure.ts'
import type { CreatedGrant, Grant, RevokedGrants } from './wire/grants.ts'
import { tlsServerName } from './wire/names.ts'
import type { ById, Changed } from './wire/shared.ts'

type GrantRow = typeof grants.$inferSelect
type Words = {
  user?: string | undefined
  group?: string | undefined
  destination: string
  namespace: string | null
  role: string
}
type SubjectRow = { kind: 'user' | 'group'; id: string; name: string }
type DestinationName = { id: string; name: string }

export async function listGrants({ db, now }: Call): Promise<Grant[]> {
  const rows = await db
    .select({
      grant: grants,
      email: users.email,
      group: groups.name,
      destination: destinations.name,
    })
    .from(grants)
    .leftJoin(users, eq(users.id, grants.userId))
    .leftJoin(groups, eq(groups.id, grants.groupId))
    .innerJoin(destinations, eq(destinations.id, grants.destinationId))
    .where(standing(now))
    .orderBy(asc(destinations.name), asc(grants.createdAt), asc(grants.id))
  return rows.map(({ grant, email, group, destination }) =>
    toWire(grant, email ?? group ?? '', { id: grant.destinationId, name: destination }),
  )
}

/**
 * Grants a role. A grant that says the same as another stands beside it: taking one away by its id
 * leaves the other, and a longer one prolongs without a gap.
 *
 * @throws {Failure} `not_found` when there is no such user, group or destination.
 */
export async function createGrant(
  { db, actor, now }: Call,
  words: Words & { expiresAt: string | null },
): Promise<CreatedGrant> {
  const expiresAt = words.expiresAt === null ? null : new Date(words.expiresAt)
  if (expiresAt && expiresAt <= now) throw new Failure('invalid', 'expiresAt: is in the past')
  return db.transaction(async (tx) => {
    const subject = await namedSubject(tx, words, (ref) => groupForGrant(tx, ref, now))
    const destination = await findDestination(tx, words.destination)
    const { namespace, role } = words
    const [row] = await tx
      .insert(grants)
      .values({
        id: newId(),
        ...columnOf(subject),
        destinationId: destination.id,
        namespace,
        role,
        expiresAt,
        createdAt: now,
      })
      .returning()
    if (!row) throw new Error('a grant was not written')
    const grant = toWire(row, subject.name, destination)
    const revision = await record(tx, actor, now, {
      kind: 'grant.created',
      detail: { grant },
      destinations: [destination.id],
      subjects: [subjectOf(row)],
    })
    return { ...grant, revision, destinations: [destination.id] }
  })
}

/**
 * Revokes a grant and records who did it, as one change: no grant ever goes without an event to
 * say so.
 *
 * Streams it had let in are not cut here. The event wakes the hub, the hub sends the destination
 * the Access that is left, and the connector severs the rest.
 *
 * @throws {Failure} `not_found` when there is no such grant.
 */
export async function revokeGrant({ db, actor, now }: Call, { id }: ById): Promise<Changed> {
  return db.transaction(async (tx) => {
    const [row] = await tx.delete(grants).where(eq(grants.id, id)).returning()
    if (!row) throw new Failure('not_found', `there is no grant ${id}`)
    const detail = { grant: await named(tx, row) }
    const destinationIds = [row.destinationId]
    const subjects = [subjectOf(row)]
    const happening = { kind: 'grant.revoked', detail, destinations: destinationIds, subjects }
    return { revision: await record(tx, actor, now, happening), destinations: destinationIds }
  })
}

/**
 * Revokes every grant that says the same, whenever it would have expired: whoever takes access
 * away by its words wants it gone.
 *
 * @throws {Failure} `not_found` when there is none.
 */
export async function revokeGrantsByWords(
  { db, actor, now }: Call,
  words: Words,
): Promise<RevokedGrants> {
  return db.transaction(async (tx) => {
    const subject = await namedSubject(tx, words, (ref) => findGroup(tx, ref))
    const destination = await findDestination(tx, words.destination)
    const gone = await tx
      .delete(grants)
      .where(saysTheSame(subject, destination.id, words))
      .returning()
    if (gone.length === 0) {
      throw new Failure('not_found', `${subject.name} has no such grant on ${destination.name}`)
    }
    let revision = 0
    for (const row of gone) {
      const detail = { grant: toWire(row, subject.name, destination) }
      const concerned = { destinations: [destination.id], subjects: [subjectOf(row)] }
      const happening = { kind: 'grant.revoked', detail, ...concerned }
      revision = await record(tx, actor, now, happening)
    }
    return { revision, destinations: [destination.id], revoked: gone.map(({ id }) => id) }
  })
}

/** What the caller has been granted: all that a kubeconfig is made of. */
export async function myDestinations(call: Call): Promise<MyDestination[]> {
  const rows = await standingGrantsOf(call.db, userOf(call).id, call.now)
  const byDestination = Map.groupBy(rows, (row) => row.destination.id)
  return [...byDestination.values()].flatMap((held) => {
    const [first] = held
    return first
      ? [
          toMine(
            first.destination,
            held.map(({ grant }) => grant),
            call,
          ),
        ]
      : []
  })
}

/** The grants of a user that stand, directly or by a group, with their destinations. */
export async function standingGrantsOf(tx: Database, userId: string, now: Date) {
  const groupsOfUser = tx
    .select({ id: memberships.groupId })
    .from(memberships)
    .where(eq(memberships.userId, userId))
  return tx
    .select({ grant: grants, destination: destinations })
    .from(grants)
    .innerJoin(destinations, eq(destinations.id, grants.destinationId))
    .where(and(standing(now), or(eq(grants.userId, userId), inArray(grants.groupId, groupsOfUser))))
    .orderBy(asc(destinations.name), sql`${grants.namespace} nulls first`, asc(grants.role))
}

/** Whom a grant is for; the table's check lets no row through without a subject. */
export function subjectOf({ userId, groupId }: Pick<GrantRow, 'userId' | 'groupId'>): Subject {
  return userId === null ? { kind: 'group', id: groupId ?? '' } : userSubject(userId)
}

function standing(now: Date): SQL | undefined {
  return or(isNull(grants.expiresAt), gt(grants.expiresAt, now))
}

function saysTheSame(subject: SubjectRow, destinationId: string, words: Words): SQL | undefined {
  return and(
    eq(subject.kind === 'user' ? grants.userId : grants.groupId, subject.id),
    eq(grants.destinationId, destinationId),
    words.namespace === null ? isNull(grants.namespace) : eq(grants.namespace, words.namespace),
    eq(grants.role, words.role),
  )
}

async function namedSubject(
  tx: Database,
  { user, group }: Words,
  groupBy: (ref: string) => Promise<{ id: string; name: string }>,
): Promise<SubjectRow> {
  if (user !== undefined) {
    const row = await findUser(tx, user)
    return { kind: 'user', id: row.id, name: row.email }
  }
  const row = await groupBy(group ?? '')
  return { kind: 'group', id: row.id, name: row.name }
}

function columnOf({ kind, id }: SubjectRow) {
  return kind === 'user' ? { userId: id } : { groupId: id }
}

async function named(tx: Database, row: GrantRow): Promise<Grant> {
  const destination = await findDestination(tx, row.destinationId)
  const subject =
    row.userId === null
      ? (await findGroup(tx, row.groupId ?? '')).name
      : (await findUser(tx, row.userId)).email
  return toWire(row, subject, destination)
}

function toWire(row: GrantRow, subjectName: string, { id, name }: DestinationName): Grant {
  const kind = row.userId === null ? 'group' : 'user'
  return {
    id: row.id,
    subject: { kind, id: row.userId ?? row.groupId ?? '', name: subjectName },
    destination: { id, name },
    namespace: row.namespace,
    role: row.role,
    expiresAt: row.expiresAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
  }
}

function toMine(
  { id, name, endpoint }: typeof destinations.$inferSelect,
  held: GrantRow[],
  { authority }: Call,
): MyDestination {
  const roles = held.map(({ role, namespace, expiresAt }) => ({
    role,
    namespace,
    expiresAt: expiresAt?.toISOString() ?? null,
  }))
  return { id, name, endpoint, tlsServerName: tlsServerName(id), ca: authority.caPem, roles }
}
