/**
 * What happened: recorded in the transaction of the change, numbered in the order of commits, read
 * after a number, waited for. Audit log, wake-up call of the hub and stream of administrators in
 * one.
 *
 * Never events, and never under the lock: refused requests, issued tokens, last-used marks, a
 * login that changed nothing. Otherwise a stranger could hold up revocations by knocking.
 */
import { asc, gt, sql } from 'drizzle-orm'
import type { Actor, Call } from './call.ts'
import type { Database } from './db/database.ts'
import { events } from './db/schema.ts'
import type { Subject } from './wire/access.ts'
import type { Event, EventQuery } from './wire/events.ts'

/** The channel of NOTIFY. It carries no data: it says "look". */
export const channel = 'infra_events'

/** Any number, as long as nothing else in this database locks by it. */
const lockKey = 4_772_001

type Row = typeof events.$inferSelect

export type Happening = {
  kind: string
  detail: Record<string, unknown>
  /** Ids of the destinations whose Access may have changed; null: all of them. */
  destinations: string[] | null
  /** For whom it may have changed there. Not given: for anybody, and all of it is read anew. */
  subjects?: Subject[]
}

/**
 * Records what happened, and gives its number. Called last in the transaction of the change: from
 * here to the commit every other change waits, so that numbers commit in order and without gaps,
 * also over rollbacks and a killed process (the number is taken under the lock, not from a
 * sequence). The wait is bounded: a stuck writer fails others after some seconds, not for ever.
 */
export async function record(
  tx: Database,
  actor: Actor,
  at: Date,
  { kind, detail, destinations, subjects }: Happening,
): Promise<number> {
  await lockEvents(tx)
  const [written] = await tx
    .insert(events)
    .values({
      number: sql`(select coalesce(max(${events.number}), 0) + 1 from ${events})`,
      kind,
      at,
      actor: nameOf(actor),
      detail,
      destinations,
      subjects: subjects ?? null,
    })
    .returning({ number: events.number })
  await tx.execute(sql`select pg_notify(${channel}, '')`)
  if (!written) throw new Error('an event was not written')
  return written.number
}

/**
 * From here to the end of the transaction no other change commits: all that was recorded before is
 * seen, and whatever is recorded later sees this one. Whoever holds it waits for no other lock, or
 * two would wait for each other.
 */
export async function lockEvents(tx: Database): Promise<void> {
  await tx.execute(sql`set local lock_timeout = '10s'`)
  await tx.execute(sql`select pg_advisory_xact_lock(${lockKey})`)
}

/** The number of the newest event; 0 before the first. */
export async function newest(db: Database): Promise<number> {
  const [row] = await db
    .select({ number: sql<number>`coalesce(max(${events.number}), 0)`.mapWith(Number) })
    .from(events)
  return row?.number ?? 0
}

/** Events after a number, oldest first, at most `limit`. */
export async function eventsAfter(db: Database, after: number, limit: number): Promise<Event[]> {
  const rows = await db
    .select()
    .from(events)
    .where(gt(events.number, after))
    .orderBy(asc(events.number))
    .limit(limit)
  return rows.map(toWire)
}

export async function listEvents({ db }: Call, { after, limit }: EventQuery): Promise<Event[]> {
  return eventsAfter(db, after, limit)
}

function toWire({ number, kind, at, actor, detail, destinations }: Row): Event {
  return { number, kind, at: at.toISOString(), actor, detail, destinations }
}

function nameOf(actor: Actor): Event['actor'] {
  switch (actor.kind) {
    case 'user':
      return { kind: 'user', id: actor.id, name: actor.email }
    case 'connector':
      return { kind: 'connector', id: actor.destinationId, name: actor.destinationName }
    case 'system':
      return { kind: 'system', id: null, name: 'infra' }
    case 'stranger':
      // A login is proved by what it brings; until then nobody may change anything.
      throw new Error('a stranger changed something')
  }
}
