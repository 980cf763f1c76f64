/**
 * What stands for people and groups at a destination. All of Access and what changed of it are put
 * together here from the same rows, so that a delta cannot say other than a reading of all.
 */
import { and, gt, isNotNull, isNull } from 'drizzle-orm'
import { anyOf } from './db/any-of.ts'
import type { Database } from './db/database.ts'
import * as t from './db/schema.ts'
import { subjectOf } from './grants.ts'
import type { AccessGrant, Entries, Subject } from './wire/access.ts'
import { maxLeaseSeconds } from './wire/destinations.ts'

/**
 * How long an ended session is still told: the longest life of a token, and then the longest lease
 * of a connector that was cut off when it ended (security.md P2). Both are at most a day, whatever
 * was set when the token was signed; so no change of a setting shortens what was promised.
 */
const toldSeconds = 2 * maxLeaseSeconds + 3600
const dayMs = 86_400_000

export type GrantRow = typeof t.grants.$inferSelect
export type Membership = typeof t.memberships.$inferSelect
/** A session or an access key of somebody, and when it ended. */
type Ended = { id: string; user: string; at: Date | null }
type Person = { id: string; email: string; groups: string[]; ended: Ended[] }
/** Grants by the id of their subject. */
type Granted = Map<string, AccessGrant[]>

/** What is known of some subjects, in one snapshot that was read at `now`. */
export type Known = {
  now: Date
  /** Those of the users that are there, and not disabled. */
  people: Map<string, Person>
  /** The names of the groups. */
  groups: Map<string, string>
  /** By destination. */
  granted: Map<string, Granted>
}

export function nothingKnown(now: Date): Known {
  return { now, people: new Map(), groups: new Map(), granted: new Map() }
}

/** Reads who these are. What they belong to and what is granted was read before. */
export async function readKnown(
  tx: Database,
  ids: { users: Iterable<string>; groups: Iterable<string> },
  rows: { memberships: Membership[]; grants: GrantRow[] },
  now: Date,
): Promise<Known> {
  const users = [...ids.users]
  const people = await tx
    .select({ id: t.users.id, email: t.users.email })
    .from(t.users)
    .where(and(anyOf(t.users.id, users), isNull(t.users.disabledAt)))
  const groups = await tx
    .select({ id: t.groups.id, name: t.groups.name })
    .from(t.groups)
    .where(anyOf(t.groups.id, ids.groups))
  const ended = Map.groupBy(await readEnded(tx, users, now), ({ user }) => user)
  const groupsOf = Map.groupBy(rows.memberships, ({ userId }) => userId)
  const person = ({ id, email }: { id: string; email: string }): [string, Person] => {
    const of = (groupsOf.get(id) ?? []).map(({ groupId }) => groupId)
    return [id, { id, email, groups: of.toSorted(), ended: ended.get(id) ?? [] }]
  }
  return {
    ...{ now, people: new Map(people.map(person)) },
    groups: new Map(groups.map(({ id, name }) => [id, name])),
    granted: grantedBy(rows.grants),
  }
}

/**
 * Adds what stands for a subject at a destination; false: nothing does. A disabled user's grants
 * are there, and let nobody in.
 */
export function addEntry(to: Entries, known: Known, at: string, { kind, id }: Subject): boolean {
  const granted = known.granted.get(at)
  if (!granted) return false
  const entry = kind === 'user' ? userAt(known, at, id) : groupAt(known, at, id)
  if (!entry) return false
  if ('email' in entry) to.users.push(entry)
  else to.groups.push(entry)
  to.grants.push(...(granted.get(id) ?? []))
  return true
}

/**
 * Since when ended sessions are told at a destination. It moves once a day, for each destination at
 * another time of the day: between two such moments Access read anew is the Access that was sent,
 * unless something happened.
 */
export function toldSince(destinationId: string, now: Date): number {
  let ownMs = 0
  for (const byte of Buffer.from(destinationId)) ownMs = (ownMs * 31 + byte) % dayMs
  const since = now.getTime() - toldSeconds * 1000
  return since - ((since - ownMs) % dayMs)
}

function userAt(
  { people, granted, now }: Known,
  at: string,
  id: string,
): Entries['users'][0] | null {
  const person = people.get(id)
  const here = granted.get(at)
  if (!person || !here) return null
  const groups = person.groups.filter((group) => here.has(group))
  if (groups.length === 0 && !here.has(id)) return null
  return { id, email: person.email, groups, ended: toldAt(at, person.ended, now) }
}

function groupAt({ groups, granted }: Known, at: string, id: string): Entries['groups'][0] | null {
  const name = groups.get(id)
  return name !== undefined && granted.get(at)?.has(id) ? { id, name } : null
}

function toldAt(destinationId: string, ended: Ended[], now: Date): string[] {
  if (ended.length === 0) return []
  const since = toldSince(destinationId, now)
  return ended.filter(({ at }) => at !== null && at.getTime() > since).map(({ id }) => id)
}

function grantedBy(rows: GrantRow[]): Known['granted'] {
  const at = new Map<string, Granted>()
  for (const row of rows) {
    const grant = toAccessGrant(row)
    const here: Granted = at.get(row.destinationId) ?? new Map()
    at.set(row.destinationId, here)
    const own = here.get(grant.subject.id)
    if (own) own.push(grant)
    else here.set(grant.subject.id, [grant])
  }
  return at
}

function toAccessGrant(row: GrantRow): AccessGrant {
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
 * What ended of these users and is told anywhere yet. Sessions and access keys: a token names
 * either as its `sid`.
 */
async function readEnded(tx: Database, users: string[], now: Date): Promise<Ended[]> {
  const earliest = new Date(now.getTime() - toldSeconds * 1000 - dayMs)
  const { sessions, accessKeys } = t
  const ended = tx
    .select({ id: sessions.id, user: sessions.userId, at: sessions.endedAt })
    .from(sessions)
    .where(and(anyOf(sessions.userId, users), gt(sessions.endedAt, earliest)))
  const keys = tx
    .select({ id: accessKeys.id, user: accessKeys.userId, at: accessKeys.endedAt })
    .from(accessKeys)
    .where(
      and(
        isNotNull(accessKeys.userId),
        anyOf(accessKeys.userId, users),
        gt(accessKeys.endedAt, earliest),
      ),
    )
  const rows = [...(await ended), ...(await keys)]
  return rows.flatMap(({ user, ...row }) => (user === null ? [] : [{ ...row, user }]))
}
