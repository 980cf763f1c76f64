/**
 * How fast a provider is asked. Kept in the database, so that several server processes together stay
 * within what one provider allows, and a restart forgets no `Retry-After`.
 */
import { and, eq, gt, isNotNull, sql } from 'drizzle-orm'
import type { Database } from '../db/database.ts'
import { providerPaces, questions } from '../db/schema.ts'

/**
 * Takes the next place in the row of requests to a provider, and says when it is. Places lie evenly,
 * so that a limit per minute is also one per second.
 */
export async function takePlace(
  db: Database,
  providerId: string,
  { now, perMinute }: { now: Date; perMinute: number },
): Promise<Date> {
  const gapMs = Math.ceil(60_000 / perMinute)
  const gap = sql`${gapMs}::float8 * interval '1 millisecond'`
  const [row] = await db
    .insert(providerPaces)
    .values({ providerId, nextRequestAt: new Date(now.getTime() + gapMs) })
    .onConflictDoUpdate({
      target: providerPaces.providerId,
      set: {
        nextRequestAt: sql`greatest(${providerPaces.nextRequestAt}, ${now.toISOString()}::timestamptz) + ${gap}`,
      },
    })
    .returning({ nextRequestAt: providerPaces.nextRequestAt })
  if (!row) throw new Error('a place was not taken')
  return new Date(row.nextRequestAt.getTime() - gapMs)
}

/** Since when a provider has refused us, and until when it wants to hear nothing. */
export async function paceOf(
  db: Database,
  providerId: string,
): Promise<typeof providerPaces.$inferSelect | null> {
  const [row] = await db
    .select()
    .from(providerPaces)
    .where(eq(providerPaces.providerId, providerId))
  return row ?? null
}

/**
 * Asks a provider nothing until then. Whoever is due meanwhile is asked about at an instant of their
 * own within one interval after it: all at once would bring the next `Retry-After`.
 */
export async function keepQuiet(
  tx: Database,
  providerId: string,
  { until, intervalSeconds }: { until: Date; intervalSeconds: number },
): Promise<void> {
  const at = sql`${until.toISOString()}::timestamptz`
  await tx
    .insert(providerPaces)
    .values({ providerId, nextRequestAt: until, quietUntil: until })
    .onConflictDoUpdate({
      target: providerPaces.providerId,
      set: { quietUntil: sql`greatest(${providerPaces.quietUntil}, ${at})` },
    })
  await tx
    .update(questions)
    .set({ dueAt: sql`${at} + random() * ${intervalSeconds}::float8 * interval '1 second'` })
    .where(and(eq(questions.providerId, providerId), sql`${questions.dueAt} < ${at}`))
}

/** How many people each provider is asked about. */
export async function peopleOf(db: Database, providerId: string): Promise<number> {
  return db.$count(questions, eq(questions.providerId, providerId))
}

export async function askingNow(db: Database, providerId: string, now: Date): Promise<number> {
  const isClaimed = and(isNotNull(questions.claimedUntil), gt(questions.claimedUntil, now))
  return db.$count(questions, and(eq(questions.providerId, providerId), isClaimed))
}

export type Load = {
  people: number
  intervalSeconds: number
  perMinute: number
  atOnce: number
  /** What a question has cost of late. */
  requestsEach: number
  secondsEach: number
}

/**
 * Why everybody cannot be asked about within the interval, with the figures that would do; null where
 * the limits suffice.
 *
 * @example
 * shortfall({ people: 6000, intervalSeconds: 300, perMinute: 600, atOnce: 10, requestsEach: 1, secondsEach: 0.1 })
 * // { questionsPerMinute: 1200, questionsAtOnce: 10, intervalSeconds: 600 }
 */
export function shortfall(
  load: Load,
): { questionsPerMinute: number; questionsAtOnce: number; intervalSeconds: number } | null {
  const { people, intervalSeconds, perMinute, atOnce, requestsEach, secondsEach } = load
  const neededPerMinute = Math.ceil((people * requestsEach * 60) / intervalSeconds)
  const neededAtOnce = Math.ceil((people * secondsEach) / intervalSeconds)
  if (neededPerMinute <= perMinute && neededAtOnce <= atOnce) return null
  const byMinute = (people * requestsEach * 60) / perMinute
  const byPlaces = (people * secondsEach) / atOnce
  return {
    questionsPerMinute: Math.max(neededPerMinute, perMinute),
    questionsAtOnce: Math.max(neededAtOnce, atOnce),
    intervalSeconds: Math.ceil(Math.max(byMinute, byPlaces)),
  }
}
