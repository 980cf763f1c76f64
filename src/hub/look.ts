/**
 * A look at the database: what is new since the last one, whom it concerns, and what stands for
 * them now. All of it in one snapshot, for however many links.
 */
import { asc, gt } from 'drizzle-orm'
import { readHead } from '../access.ts'
import { type Changed, type Changes, changesAt, readChanges } from '../changes.ts'
import type { Database } from '../db/database.ts'
import { events } from '../db/schema.ts'
import type { Subject } from '../wire/access.ts'

/** An event that was found: what it is, and where it may have changed Access (null: everywhere). */
export type Found = {
  number: number
  kind: string
  at: Date
  destinations: ReadonlySet<string> | null
}

/** What was found, when it was read at `at`. */
export type Look = {
  at: Date
  epoch: string
  /** The number of the newest event. */
  revision: number
  /** The events that are new, in their order; with very many, only the first of them. */
  events: readonly Found[]
  /** The destinations that the events found concern; null: all of them. */
  destinations: string[] | null
  /** The newest of the events found that concern a destination; 0: none does. */
  concerns(destinationId: string): number
  /** Whether the key of a connector there may have ended: only events about no subject end one. */
  endsKeys(destinationId: string): boolean
  /** What they changed there; null where that is not known, and all must be read. */
  changed(destinationId: string, knows: (subject: Subject) => boolean): Changed | null
}

type Row = Found & { subjects: Subject[] | null }

/** With more events than this between two looks, every destination counts as concerned. */
const manyEvents = 1000
/** With more subjects than this, it is cheaper to read all there is than what changed of it. */
const manySubjects = 500

/**
 * Looks from `last` on; without it, or in another epoch, everything is new to everybody. `isLinked`
 * says for which destinations anybody wants to know what changed.
 */
export async function look(
  db: Database,
  last: Look | null,
  at: Date,
  isLinked: (destinationId: string) => boolean,
): Promise<Look> {
  const read = async (tx: Database): Promise<Look> => {
    const { epoch, revision } = await readHead(tx)
    const found = { at, epoch, revision }
    if (last?.epoch !== epoch) return { ...found, ...everything(revision) }
    const rows = revision > last.revision ? await eventsSince(tx, last.revision) : []
    const subjects = subjectsOf(rows, isLinked)
    const changes = subjects && (await readChanges(tx, subjects, at))
    return { ...found, events: rows, ...concernsOf(rows), changed: changedIn(changes) }
  }
  return db.transaction(read, { isolationLevel: 'repeatable read' })
}

async function eventsSince(tx: Database, after: number): Promise<Row[]> {
  const { number, kind, at, destinations, subjects } = events
  const rows = await tx
    .select({ number, kind, at, destinations, subjects })
    .from(events)
    .where(gt(number, after))
    .orderBy(asc(number))
    .limit(manyEvents)
  // Each link asks whether it is one of them, and there may be ten thousand of both.
  return rows.map((row) => ({
    ...row,
    destinations: row.destinations && new Set(row.destinations),
  }))
}

function everything(revision: number): Omit<Look, 'at' | 'epoch' | 'revision'> {
  const [concerns, endsKeys, changed] = [() => revision, () => true, () => null]
  return { events: [], destinations: null, concerns, endsKeys, changed }
}

function concernsOf(rows: Row[]): Pick<Look, 'destinations' | 'concerns' | 'endsKeys'> {
  const isCut = rows.length === manyEvents
  const all = isCut ? rows : rows.filter((row) => row.destinations === null)
  const everyone = all.at(-1)?.number ?? 0
  const newestOf = new Map<string, number>()
  const endingAt = new Set<string>()
  for (const { number, destinations, subjects } of rows) {
    for (const id of destinations ?? []) {
      newestOf.set(id, number)
      if (!subjects?.length) endingAt.add(id)
    }
  }
  return {
    destinations: everyone > 0 ? null : [...newestOf.keys()],
    concerns: (destinationId) => Math.max(everyone, newestOf.get(destinationId) ?? 0),
    endsKeys: (destinationId) => everyone > 0 || endingAt.has(destinationId),
  }
}

/** Whom the events are about that concern anybody who is linked; null: that is not known. */
function subjectsOf(rows: Row[], isLinked: (destinationId: string) => boolean): Subject[] | null {
  if (rows.length === manyEvents) return null
  const felt = rows.filter(({ destinations }) => !destinations || isAny(destinations, isLinked))
  if (felt.some(({ destinations, subjects }) => !destinations || !subjects)) return null
  const named = felt.flatMap(({ subjects }) => subjects ?? [])
  const each = new Map(named.map((subject) => [`${subject.kind} ${subject.id}`, subject]))
  return each.size > manySubjects ? null : [...each.values()]
}

function isAny(ids: ReadonlySet<string>, is: (id: string) => boolean): boolean {
  for (const id of ids) if (is(id)) return true
  return false
}

function changedIn(changes: Changes | null): Look['changed'] {
  return (destinationId, knows) => changes && changesAt(changes, destinationId, knows)
}
