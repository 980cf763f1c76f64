/**
 * Logins begun and not finished: what must come back the same is kept by the server, for ten
 * minutes and for one use.
 */
import { desc, eq, inArray, lte } from 'drizzle-orm'
import type { Database } from '../db/database.ts'
import { logins } from '../db/schema.ts'

export type PendingLogin = typeof logins.$inferSelect

const lifeMs = 10 * 60_000

/**
 * How many are kept. Strangers begin logins, and each address only so many (`guesses.ts`); beyond
 * this number the oldest are dropped, so that the table cannot be filled.
 */
const maxKept = 10_000

export async function keepLogin(
  db: Database,
  login: Omit<PendingLogin, 'expiresAt'>,
  now: Date,
): Promise<Date> {
  const expiresAt = new Date(now.getTime() + lifeMs)
  await db.delete(logins).where(lte(logins.expiresAt, now))
  await db.insert(logins).values({ ...login, expiresAt })
  const oldest = db
    .select({ id: logins.id })
    .from(logins)
    .orderBy(desc(logins.expiresAt), logins.id)
    .offset(maxKept)
  await db.delete(logins).where(inArray(logins.id, oldest))
  return expiresAt
}

/**
 * Takes a login out of the table, so that it is used once, whatever comes of it: of two finishes
 * at the same instant one finds nothing.
 */
export async function takeLogin(db: Database, id: string): Promise<PendingLogin | null> {
  const [taken] = await db.delete(logins).where(eq(logins.id, id)).returning()
  return taken ?? null
}
