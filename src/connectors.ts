/**
 * Connectors: the instances that were heard of, until when their lease may run, and which of them
 * are missed. Being heard of is a mark; falling silent and coming back are events.
 */
import { and, asc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm'
import { anyOf } from './db/any-of.ts'
import type { Database } from './db/database.ts'
import { connectors, destinations } from './db/schema.ts'
import { record } from './events.ts'

export type ConnectorRow = typeof connectors.$inferSelect

export type Heard = {
  destination: { id: string; name: string }
  instance: string
  via: 'link' | 'poll'
  at: Date
  leaseSeconds: number
}

const system = { kind: 'system' } as const

/** A key's holder may call itself by any name, at each poll by another: the table must not grow. */
const mostInstances = 256
/** How long the mark of an instance outlives its lease. */
const forgetAfterMs = 7 * 86_400_000

/**
 * How far apart the marks of one instance are: a minute, and a quarter of a short lease.
 *
 * @example
 * markEveryMs(360) // 60000
 */
export function markEveryMs(leaseSeconds: number): number {
  return Math.min(60_000, leaseSeconds * 250)
}

/**
 * Marks instances as heard of, all in one transaction; one that was missed is back, which is an
 * event. Rows are taken in the order of their ids, so that two servers never wait for each other.
 */
export async function markHeard(db: Database, heard: Heard[]): Promise<void> {
  // Of an instance that is heard of twice, the last word counts.
  const once = [...new Map(heard.map((one) => [nameOf(one), one])).values()]
  await db.transaction(async (tx) => {
    const there = await markSeen(tx, once)
    const known = await knownAt(tx, there)
    const rows = withoutCrowds(there, known)
    if (rows.length === 0) return
    const { via, heardAt, leaseSeconds, leaseEndsAt } = connectors
    const said = ({ name }: { name: string }) => sql.raw(`excluded."${name}"`)
    const set = {
      ...{ via: said(via), heardAt: said(heardAt), leaseSeconds: said(leaseSeconds) },
      ...{ leaseEndsAt: said(leaseEndsAt), silentAt: null },
    }
    const target = [connectors.destinationId, connectors.instance]
    await tx.insert(connectors).values(rows.map(rowOf)).onConflictDoUpdate({ target, set })
    for (const one of rows) await recordReturn(tx, one, known.get(nameOf(one)))
  })
}

/** Gives those whose destination is there. */
async function markSeen(tx: Database, heard: Heard[]): Promise<Heard[]> {
  const { id } = destinations
  const ids = new Set(heard.map(({ destination }) => destination.id))
  const here = anyOf(id, ids)
  await tx.select({ id }).from(destinations).where(here).orderBy(asc(id)).for('no key update')
  const at = heard.reduce((latest, one) => (one.at > latest ? one.at : latest), new Date(0))
  const seen = await tx.update(destinations).set({ lastSeenAt: at }).where(here).returning({ id })
  const found = new Set(seen.map((row) => row.id))
  return heard.filter(({ destination }) => found.has(destination.id))
}

/** All instances of these destinations, by name. */
async function knownAt(tx: Database, heard: Heard[]): Promise<Map<string, ConnectorRow>> {
  const rows = await tx
    .select()
    .from(connectors)
    .where(anyOf(connectors.destinationId, new Set(heard.map(({ destination }) => destination.id))))
    .orderBy(asc(connectors.destinationId), asc(connectors.instance))
    .for('update')
  return new Map(rows.map((row) => [`${row.destinationId} ${row.instance}`, row]))
}

function nameOf({ destination, instance }: Heard): string {
  return `${destination.id} ${instance}`
}

/** Those who are known already, and at each destination so many others as there is room for. */
function withoutCrowds(heard: Heard[], known: Map<string, ConnectorRow>): Heard[] {
  const byDestination = Map.groupBy(known.values(), ({ destinationId }) => destinationId)
  const counts = new Map([...byDestination].map(([id, rows]) => [id, rows.length]))
  return heard.filter((one) => {
    if (known.has(nameOf(one))) return true
    const count = counts.get(one.destination.id) ?? 0
    counts.set(one.destination.id, count + 1)
    return count < mostInstances
  })
}

function rowOf({ destination, instance, via, at, leaseSeconds }: Heard) {
  const leaseEndsAt = new Date(at.getTime() + leaseSeconds * 1000 + markEveryMs(leaseSeconds))
  return { destinationId: destination.id, instance, via, leaseSeconds, heardAt: at, leaseEndsAt }
}

async function recordReturn(tx: Database, heard: Heard, was: ConnectorRow | undefined) {
  if (!was?.silentAt) return
  const { destination, instance, via, at } = heard
  const detail = { destination, instance, via, silentSince: was.heardAt.toISOString() }
  // Who may enter does not change by it.
  await record(tx, system, at, { kind: 'connector.returned', detail, destinations: [] })
}

/** An instance that said goodbye has cut all it had open, and is not missed. */
export async function markLeft(
  db: Database,
  destinationId: string,
  instance: string,
): Promise<void> {
  await db.delete(connectors).where(isInstance(destinationId, instance))
}

/**
 * The instances that may still let somebody in, or hold something open: their lease may run, or
 * their destination keeps open streams past its end.
 */
export async function instancesAt(
  db: Database,
  destinationId: string,
  now: Date,
): Promise<ConnectorRow[]> {
  const rows = await db
    .select({ connector: connectors })
    .from(connectors)
    .innerJoin(destinations, eq(destinations.id, connectors.destinationId))
    .where(
      and(
        eq(connectors.destinationId, destinationId),
        or(gt(connectors.leaseEndsAt, now), eq(destinations.onLeaseEnd, 'keep')),
      ),
    )
  return rows.map(({ connector }) => connector)
}

/**
 * Says once of each instance that it has not been heard of for half of its lease. A mark is up to a
 * quarter of the lease older than the last word, so three quarters after the mark are enough, and
 * still before the lease ends. Nobody can be missed since before `since`: nobody was listening.
 */
export async function noticeSilence(db: Database, now: Date, since: Date): Promise<void> {
  const due = await db
    .select()
    .from(connectors)
    .where(and(isNull(connectors.silentAt), sql`${missedAt(since)} <= ${instantOf(now)}`))
  for (const row of due) await recordSilence(db, row, now)
}

/** When the next instance would be missed; null: none could be. */
export async function nextSilence(db: Database, since: Date): Promise<Date | null> {
  const [row] = await db
    .select({ at: sql<string | null>`min(${missedAt(since)})` })
    .from(connectors)
    .where(isNull(connectors.silentAt))
  return row?.at ? new Date(row.at) : null
}

/** Marks that nobody can need any more. */
export async function forgetInstances(db: Database, now: Date): Promise<void> {
  await db
    .delete(connectors)
    .where(lt(connectors.leaseEndsAt, new Date(now.getTime() - forgetAfterMs)))
}

async function recordSilence(db: Database, missed: ConnectorRow, now: Date): Promise<void> {
  const { destinationId, instance, heardAt, leaseEndsAt } = missed
  await db.transaction(async (tx) => {
    const [row] = await tx
      .update(connectors)
      .set({ silentAt: now })
      // It may have been heard of since.
      .where(and(isInstance(destinationId, instance), eq(connectors.heardAt, heardAt)))
      .returning()
    const [destination] = await tx
      .select({ id: destinations.id, name: destinations.name })
      .from(destinations)
      .where(eq(destinations.id, destinationId))
    if (!row || !destination) return
    const until = leaseEndsAt.toISOString()
    const detail = { destination, instance, heardAt: heardAt.toISOString(), leaseEndsAt: until }
    await record(tx, system, now, { kind: 'connector.silent', detail, destinations: [] })
  })
}

function missedAt(since: Date) {
  const from = sql`greatest(${connectors.heardAt}, ${instantOf(since)})`
  return sql`(${from} + ${connectors.leaseSeconds} * interval '750 milliseconds')`
}

/** In raw SQL the drivers do not agree on what to make of a `Date`. */
function instantOf(at: Date) {
  return sql`${at.toISOString()}::timestamptz`
}

function isInstance(destinationId: string, instance: string) {
  return and(eq(connectors.destinationId, destinationId), eq(connectors.instance, instance))
}
