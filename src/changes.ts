/**
 * What stands for a few subjects, at every destination: read once for all links, in the snapshot
 * that the events are looked at in. So a change costs what it changes, however much Access there
 * is besides.
 */
import { or } from 'drizzle-orm'
import { anyOf } from './db/any-of.ts'
import type { Database } from './db/database.ts'
import * as t from './db/schema.ts'
import { addEntry, type GrantRow, type Known, nothingKnown, readKnown } from './entries.ts'
import type { Entries, Subject } from './wire/access.ts'

export type Changes = { subjects: Subject[]; known: Known }

/** What changed at one destination. */
export type Changed = { subjects: Subject[]; entries: Entries }

/** `tx` sees one snapshot. */
export async function readChanges(tx: Database, subjects: Subject[], now: Date): Promise<Changes> {
  if (subjects.length === 0) return { subjects, known: nothingKnown(now) }
  const ids = (kind: Subject['kind']) =>
    subjects.filter((subject) => subject.kind === kind).map(({ id }) => id)
  const [users, groups] = [ids('user'), ids('group')]
  const memberships = await tx
    .select()
    .from(t.memberships)
    .where(anyOf(t.memberships.userId, users))
  const groupIds = new Set([...groups, ...memberships.map(({ groupId }) => groupId)])
  const grants = await readGrants(tx, users, groupIds)
  return { subjects, known: await readKnown(tx, { users, groups }, { memberships, grants }, now) }
}

/**
 * What stands at a destination for those of the subjects that are anybody there, or were (`knows`).
 * Null where this does not tell: a group came or went, and what stands for its members with it.
 */
export function changesAt(
  { subjects, known }: Changes,
  destinationId: string,
  knows: (subject: Subject) => boolean,
): Changed | null {
  const concerned: Subject[] = []
  const entries: Entries = { users: [], groups: [], grants: [] }
  for (const subject of subjects) {
    const isHere = addEntry(entries, known, destinationId, subject)
    const wasHere = knows(subject)
    if (subject.kind === 'group' && isHere !== wasHere) return null
    if (isHere || wasHere) concerned.push(subject)
  }
  return { subjects: concerned, entries }
}

function readGrants(tx: Database, users: string[], groups: Set<string>): Promise<GrantRow[]> {
  return tx
    .select()
    .from(t.grants)
    .where(or(anyOf(t.grants.userId, users), anyOf(t.grants.groupId, groups)))
}
