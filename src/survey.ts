/**
 * What the database says of connectors and of questions to providers, for metrics: of the whole
 * installation, so that each of several servers tells the same.
 */
import { and, count, eq, gt, isNotNull, isNull, notExists, sql } from 'drizzle-orm'
import type { Database } from './db/database.ts'
import { connectors, destinations, questions } from './db/schema.ts'

export type Survey = {
  /** Instances whose lease may run, by how they are heard of. */
  connectors: { linked: number; polling: number; silent: number }
  /** Of these, the lease that will be over first, in seconds; null: there is none. */
  leaseLeft: number | null
  /** Destinations that had a connector, and have none that is heard of. */
  destinationsSilent: number
  /** Questions whose time is past, and the seconds by which the most overdue is late. */
  questionsOverdue: number
  questionsLate: number
  /** People of whom their provider says nothing, so that their grace period runs. */
  questionsFailing: number
}

export async function survey(db: Database, now: Date): Promise<Survey> {
  return {
    ...(await surveyConnectors(db, now)),
    destinationsSilent: await countSilent(db, now),
    ...(await surveyQuestions(db, now)),
  }
}

async function surveyConnectors(db: Database, now: Date) {
  const isSilent = sql`${connectors.silentAt} is not null`
  const link = sql<keyof Survey['connectors']>`case
    when ${isSilent} then 'silent' when ${connectors.via} = 'link' then 'linked' else 'polling' end`
  // From the last word that was marked: what was heard since makes it more, never less.
  const ends = sql`${connectors.heardAt} + ${connectors.leaseSeconds} * interval '1 second'`
  const left = sql`extract(epoch from min(${ends}) - ${instantOf(now)})`
  const rows = await db
    .select({ link: link.as('link'), count: count(), left: left.mapWith(Number) })
    .from(connectors)
    .where(gt(connectors.leaseEndsAt, now))
    .groupBy(sql`link`)
  const counts = { linked: 0, polling: 0, silent: 0 }
  for (const row of rows) counts[row.link] = row.count
  const lefts = rows.map((row) => Math.max(0, row.left))
  return { connectors: counts, leaseLeft: lefts.length === 0 ? null : Math.min(...lefts) }
}

async function countSilent(db: Database, now: Date): Promise<number> {
  const heard = db
    .select()
    .from(connectors)
    .where(
      and(
        eq(connectors.destinationId, destinations.id),
        isNull(connectors.silentAt),
        gt(connectors.leaseEndsAt, now),
      ),
    )
  const had = isNotNull(destinations.lastSeenAt)
  const [row] = await db
    .select({ count: count() })
    .from(destinations)
    .where(and(had, notExists(heard)))
  return row?.count ?? 0
}

async function surveyQuestions(db: Database, now: Date) {
  const isDue = sql`${questions.dueAt} <= ${instantOf(now)}`
  const late = sql`extract(epoch from ${instantOf(now)} - min(${questions.dueAt}))`
  const [row] = await db
    .select({
      overdue: sql`count(*) filter (where ${isDue})`.mapWith(Number),
      late: sql`coalesce(${late}, 0)`.mapWith(Number),
      failing: count(questions.failingSince),
    })
    .from(questions)
  const { overdue = 0, late: seconds = 0, failing = 0 } = row ?? {}
  return {
    questionsOverdue: overdue,
    questionsLate: Math.max(0, seconds),
    questionsFailing: failing,
  }
}

/** In raw SQL the drivers do not agree on what to make of a `Date`. */
function instantOf(at: Date) {
  return sql`${at.toISOString()}::timestamptz`
}
