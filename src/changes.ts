/**
 * What stands for a few subjects, at every destination: read once for all links, in the snapshot
 * that the events are looked at in. So a change costs what it changes, however much Access there
 * is besides.
 */
import { and, inArray, isNull, or } from 'drizzle-orm'
import { type Ended, earliestTold, readEnded, toAccessGrant, toldSince } from './access.ts'
import type { Database } from './db/database.ts'
import * as t from './db/schema.ts'
import type { AccessGrant, Entries, Subject } from './wire/access.ts'

type Person = { id: string; email: string; groups: string[]; ended: Ended[] }
/** Grants by the id of their subject. */
type Granted = Map<string, AccessGrant[]>

export type Changes = {
  subjects: Subject[]
  now: Date
  /** Those of the users that are there, and not disabled. */
  people: Map<string, Person>
  /** The names of the groups, and of the groups of these people. */
  groups: Map<string, string>
  /** By destination. */
  granted: Map<string, Granted>
}

/** What changed at one destination. */
export type Changed = { subjects: Subject[]; entries: Entries }

/** `tx` sees one snapshot. */
export async function readChanges(tx: Database, subjects: Subject[], now: Date): Promise<Changes> {
  const ids = (kind: Subject['kind']) =>
    subjects.filter((subject) => subject.kind === kind).map(({ id }) => id)
  const people = await readPeople(tx, ids('user'), now)
  const groupIds = [...new Set([...ids('group'), ...people.flatMap(({ groups }) => groups)])]
  const grants = await readGrants(tx, ids('user'), groupIds)
  return {
    ...{ subjects, now, people: new Map(people.map((person) => [person.id, person])) },
    groups: await readNames(tx, ids('group')),
    granted: new Map(
      [...Map.groupBy(grants, ({ destinationId }) => destinationId)].map(([id, rows]) => [
        id,
        Map.groupBy(rows.map(toAccessGrant), ({ subject }) => subject.id),
      ]),
    ),
  }
}

/**
 * What stands at a destination for those of the subjects that are anybody there, or were (`knows`).
 * Null where this does not tell: a group came or went, and what stands for its members with it.
 */
export function changesAt(
  changes: Changes,
  destinationId: string,
  knows: (subject: Subject) => boolean,
): Changed | null {
  const granted: Granted = changes.granted.get(destinationId) ?? new Map()
  const since = toldSince(destinationId, changes.now)
  const subjects: Subject[] = []
  const entries: Entries = { users: [], groups: [], grants: [] }
  for (const subject of changes.subjects) {
    const { kind, id } = subject
    const isHere =
      kind === 'user'
        ? addUser(entries, changes.people.get(id), granted, since)
        : addGroup(entries, { id, name: changes.groups.get(id) }, granted)
    const wasHere = knows(subject)
    if (kind === 'group' && isHere !== wasHere) return null
    if (isHere || wasHere) subjects.push(subject)
  }
  return { subjects, entries }
}

function addUser(
  { users, grants }: Entries,
  person: Person | undefined,
  granted: Granted,
  since: Date,
): boolean {
  if (!person) return false
  const { id, email } = person
  const groups = person.groups.filter((group) => granted.has(group))
  const own = granted.get(id) ?? []
  if (groups.length === 0 && own.length === 0) return false
  const ended = person.ended.filter(({ at }) => at > since).map((session) => session.id)
  users.push({ id, email, groups, ended })
  grants.push(...own)
  return true
}

function addGroup(
  { groups, grants }: Entries,
  { id, name }: { id: string; name: string | undefined },
  granted: Granted,
): boolean {
  const own = granted.get(id)
  if (name === undefined || !own) return false
  groups.push({ id, name })
  grants.push(...own)
  return true
}

async function readPeople(tx: Database, ids: string[], now: Date): Promise<Person[]> {
  if (ids.length === 0) return []
  const rows = await tx
    .select({ id: t.users.id, email: t.users.email })
    .from(t.users)
    .where(and(inArray(t.users.id, ids), isNull(t.users.disabledAt)))
  const memberships = await tx
    .select()
    .from(t.memberships)
    .where(inArray(t.memberships.userId, ids))
  const groupsOf = Map.groupBy(memberships, ({ userId }) => userId)
  const endedOf = await readEnded(tx, earliestTold(now), inArray(t.users.id, ids))
  return rows.map(({ id, email }) => ({
    ...{ id, email, ended: endedOf.get(id) ?? [] },
    groups: (groupsOf.get(id) ?? []).map(({ groupId }) => groupId),
  }))
}

async function readNames(tx: Database, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await tx
    .select({ id: t.groups.id, name: t.groups.name })
    .from(t.groups)
    .where(inArray(t.groups.id, ids))
  return new Map(rows.map(({ id, name }) => [id, name]))
}

async function readGrants(tx: Database, userIds: string[], groupIds: string[]) {
  if (userIds.length + groupIds.length === 0) return []
  return tx
    .select()
    .from(t.grants)
    .where(or(inArray(t.grants.userId, userIds), inArray(t.grants.groupId, groupIds)))
}
