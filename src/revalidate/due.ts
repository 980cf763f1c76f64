/**
 * Who is to be asked about, and which server process does so. A question is claimed for half a
 * minute, and the claim is renewed while it goes on: two processes never ask about one person at
 * once (a refresh token would be spent twice), and what a dead process had claimed is taken up.
 */
import { and, asc, eq, inArray, isNull, lte, or, sql } from 'drizzle-orm'
import type { Database } from '../db/database.ts'
import { questions } from '../db/schema.ts'

export type Question = typeof questions.$inferSelect

export const claimMs = 30_000

/** What decides which questions are claimed. */
export type Claiming = {
  providerId: string
  claimer: string
  now: Date
  most: number
  graceMs: number
  /** The provider wants to hear nothing: only they are claimed whose grace period is over. */
  isQuiet: boolean
}

/** Claims at most `most` questions that are due, the longest due first. */
export async function claimDue(db: Database, claiming: Claiming): Promise<Question[]> {
  const { providerId, claimer, now, most } = claiming
  const due = db
    .select({ id: questions.userId })
    .from(questions)
    .where(and(eq(questions.providerId, providerId), isDue(claiming), isFree(now)))
    .orderBy(asc(questions.dueAt))
    .limit(most)
    .for('update', { skipLocked: true })
  return db
    .update(questions)
    .set({ claimedBy: claimer, claimedUntil: new Date(now.getTime() + claimMs) })
    .where(and(eq(questions.providerId, providerId), inArray(questions.userId, due)))
    .returning()
}

function isDue({ now, graceMs, isQuiet }: Claiming) {
  const isOver = lte(questions.failingSince, new Date(now.getTime() - graceMs))
  return isQuiet ? isOver : or(lte(questions.dueAt, now), isOver)
}

function isFree(now: Date) {
  return or(isNull(questions.claimedUntil), lte(questions.claimedUntil, now))
}

/** Goes on with what this process has claimed. */
export async function renewClaims(db: Database, claimer: string, now: Date): Promise<void> {
  await db
    .update(questions)
    .set({ claimedUntil: new Date(now.getTime() + claimMs) })
    .where(eq(questions.claimedBy, claimer))
}

/** The instant of the next question to a provider; null where there is nobody to ask about. */
export async function nextDue(db: Database, providerId: string): Promise<Date | null> {
  const [row] = await db
    .select({ at: questions.dueAt })
    .from(questions)
    .where(and(eq(questions.providerId, providerId), isNull(questions.claimedBy)))
    .orderBy(asc(questions.dueAt))
    .limit(1)
  return row?.at ?? null
}

/**
 * Spreads anew, over one interval, what is long overdue: after a time without any server everybody
 * is due at once. Drawn by lot each time, so that a server which restarts again and again still
 * comes to everybody.
 */
export async function spreadOverdue(
  db: Database,
  now: Date,
  intervalSeconds: number,
): Promise<void> {
  const at = sql`${now.toISOString()}::timestamptz`
  const interval = sql`${intervalSeconds}::float8 * interval '1 second'`
  await db
    .update(questions)
    .set({ dueAt: sql`${at} + random() * ${interval}` })
    .where(lte(questions.dueAt, new Date(now.getTime() - intervalSeconds * 250)))
}

/**
 * When a person is asked about next: an interval after it was due, so that people keep their
 * distance from each other; and where that is over already, an interval from now.
 */
export function dueAfter(dueAt: Date, now: Date, intervalMs: number): Date {
  const next = dueAt.getTime() + intervalMs
  return new Date(next > now.getTime() ? next : now.getTime() + intervalMs)
}

/** After a failure: sooner where the grace period is short, and no later than its end. */
export function dueAfterFailure(
  { dueAt, failingSince }: { dueAt: Date; failingSince: Date },
  now: Date,
  { intervalMs, graceMs }: { intervalMs: number; graceMs: number },
): Date {
  const soon = Math.min(intervalMs, Math.max(graceMs / 4, 1000))
  const next = Math.min(dueAfter(dueAt, now, intervalMs).getTime(), now.getTime() + soon)
  return new Date(Math.min(next, Math.max(failingSince.getTime() + graceMs, now.getTime() + 1000)))
}
