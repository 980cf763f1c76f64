/** Reads the Access of destinations from the tables. */
import { sql } from 'drizzle-orm'
import { anyOf } from './db/any-of.ts'
import type { Database } from './db/database.ts'
import * as t from './db/schema.ts'
import { addEntry, type Known, readKnown } from './entries.ts'
import type { Settings } from './settings.ts'
import { publicKeys } from './signing.ts'
import type { Access, AccessHead, Entries, Subject } from './wire/access.ts'

type Reading = { now: Date; settings: Pick<Settings, 'url' | 'leaseSeconds'> }
type Common = Pick<AccessHead, 'epoch' | 'revision' | 'signingKeys'>

/**
 * All that a destination may let in, with the number of the event up to which it is true; null
 * where there is no such destination.
 */
export async function readAccess(
  db: Database,
  destinationId: string,
  reading: Reading,
): Promise<Access | null> {
  const accessOf = await readAccesses(db, [destinationId], reading)
  return accessOf(destinationId)
}

/**
 * The Access of many destinations for the price of one. One snapshot: grants, groups and number
 * belong together. Each is put together when it is asked for, so that not all are held at once.
 */
export async function readAccesses(
  db: Database,
  destinationIds: string[],
  { now, settings }: Reading,
): Promise<(destinationId: string) => Access | null> {
  const read = async (tx: Database) => {
    const rows = await tx
      .select()
      .from(t.destinations)
      .where(anyOf(t.destinations.id, destinationIds))
    const common = { ...(await readHead(tx)), signingKeys: await publicKeys(tx, now) }
    const { known, subjectsAt } = await readSubjects(tx, destinationIds, now)
    const found = new Map(rows.map((row) => [row.id, row]))
    return (id: string): Access | null => {
      const row = found.get(id)
      return row
        ? { ...headOf(row, common, settings), ...entriesAt(known, id, subjectsAt(id)) }
        : null
    }
  }
  return db.transaction(read, { isolationLevel: 'repeatable read', accessMode: 'read only' })
}

/** Which database this is, and the number of its newest event: they compare only within one epoch. */
export async function readHead(db: Database): Promise<{ epoch: string; revision: number }> {
  const newest = sql<number>`(select coalesce(max(${t.events.number}), 0) from ${t.events})`
  const [row] = await db
    .select({ epoch: t.installation.epoch, revision: newest.mapWith(Number) })
    .from(t.installation)
  if (!row) throw new Error('the database has no epoch')
  return row
}

/** Which database this is. */
export async function readEpoch(db: Database): Promise<string> {
  return (await readHead(db)).epoch
}

function headOf(
  row: typeof t.destinations.$inferSelect,
  common: Common,
  settings: Reading['settings'],
): AccessHead {
  return {
    destination: { id: row.id, name: row.name },
    epoch: common.epoch,
    revision: common.revision,
    issuer: settings.url,
    leaseSeconds: row.leaseSeconds ?? settings.leaseSeconds,
    onLeaseEnd: row.onLeaseEnd,
    signingKeys: common.signingKeys,
  }
}

/** Whoever is granted anything at these destinations, or belongs to a group that is. */
async function readSubjects(tx: Database, destinationIds: string[], now: Date) {
  const grants = await tx
    .select()
    .from(t.grants)
    .where(anyOf(t.grants.destinationId, destinationIds))
  const groups = new Set(grants.flatMap(({ groupId }) => groupId ?? []))
  const memberships = await tx
    .select()
    .from(t.memberships)
    .where(anyOf(t.memberships.groupId, groups))
  const users = new Set(grants.flatMap(({ userId }) => userId ?? []))
  for (const { userId } of memberships) users.add(userId)
  const known = await readKnown(tx, { users, groups }, { memberships, grants }, now)
  const members = Map.groupBy(memberships, ({ groupId }) => groupId)
  const subjectsAt = (id: string): Subject[] => {
    const granted = [...(known.granted.get(id)?.keys() ?? [])]
    const here = { users: new Set<string>(), groups: granted.filter((one) => groups.has(one)) }
    for (const one of granted) if (users.has(one)) here.users.add(one)
    for (const group of here.groups) {
      for (const { userId } of members.get(group) ?? []) here.users.add(userId)
    }
    const named = (kind: Subject['kind']) => (one: string) => ({ kind, id: one })
    return [...[...here.users].map(named('user')), ...here.groups.map(named('group'))]
  }
  return { known, subjectsAt }
}

function entriesAt(known: Known, destinationId: string, subjects: Subject[]): Entries {
  const entries: Entries = { users: [], groups: [], grants: [] }
  for (const subject of subjects) addEntry(entries, known, destinationId, subject)
  for (const list of [entries.users, entries.groups, entries.grants]) list.sort(byId)
  return entries
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : Number(a.id > b.id)
}
