/**
 * What ends by itself: grants and access keys whose time is over, signing keys that are due, and
 * rows that nobody can need any more.
 */
import { and, eq, gt, inArray, isNotNull, isNull, lt, lte, or, sql } from 'drizzle-orm'
import type { Store } from './db/database.ts'
import { destinationsOfUser } from './concerns.ts'
import { forgetInstances, nextSilence, noticeSilence } from './connectors.ts'
import { builtOnce } from './db/built.ts'
import { fromDatabase } from './db/errors.ts'
import { accessKeys, events, grants, logins, providerTokens, sessions } from './db/schema.ts'
import { channel, newest, record } from './events.ts'
import { subjectOf } from './grants.ts'
import { destinationsOfKey, subjectsOfKey } from './keys.ts'
import type { Sealer } from './seal.ts'
import type { Settings } from './settings.ts'
import { keepSigningKeys } from './signing.ts'
import { userSubject } from './wire/access.ts'
import { log } from './wire/log.ts'

type Db = Store['db']
export type ExpiryParts = {
  store: Store
  sealer: Sealer
  settings: Pick<Settings, 'tokenSeconds' | 'leaseSeconds'>
  clock: () => Date
  /** Since when connectors could be heard of. */
  listeningSince: Date
}

const system = { kind: 'system' } as const
const longestSleepMs = 30_000
const longestWaitMs = 5 * 60_000
/** Longer than an ended session is told to connectors (`access.ts`). */
const forgetAfterMs = 7 * 86_400_000

/** Runs until it is stopped. It sleeps until the next end, unless an event brings an earlier one. */
export class Expiry {
  readonly #parts: ExpiryParts
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> | null = null
  #judging: Promise<void> | null = null
  #isOver = false
  #isHeard = false
  #isWoken = false
  #failures = 0
  /** The newest event that was looked at. */
  #seen = 0
  #stop: (() => Promise<void>) | null = null

  constructor(parts: ExpiryParts) {
    this.#parts = parts
  }

  async open(): Promise<void> {
    const { store } = this.#parts
    this.#stop = await store.listen(channel, () => this.#hear())
    this.#seen = await newest(store.db)
    this.#sleep(0)
  }

  async close(): Promise<void> {
    this.#isOver = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#stop?.()
    await this.#judging
    await this.#running
  }

  #hear(): void {
    this.#isHeard = true
    this.#judging ??= this.#judge()
  }

  /** Never rejects. Most changes bring no end, and there may be many in a second. */
  async #judge(): Promise<void> {
    while (this.#isHeard && !this.#isOver) {
      this.#isHeard = false
      // Where that cannot be told, there may be one.
      if (await this.#isEndNew().catch(() => true)) this.#wake()
    }
    this.#judging = null
  }

  async #isEndNew(): Promise<boolean> {
    const after = this.#seen
    const [found] = await bringingEnds(this.#parts.store.db).execute({ after })
    this.#seen = Math.max(after, found?.newest ?? 0)
    return (found?.count ?? 0) > 0
  }

  #wake(): void {
    this.#isWoken = true
    if (!this.#running) this.#sleep(0)
  }

  #sleep(ms: number): void {
    if (this.#isOver) return
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#running = this.#run()
    }, ms)
    this.#timer.unref()
  }

  /** Never rejects: one failing task holds up no other, and none ends the loop. */
  async #run(): Promise<void> {
    this.#isWoken = false
    const wait = await expire(this.#parts)
    this.#failures = wait === null ? this.#failures + 1 : 0
    this.#running = null
    // An event that came meanwhile may have brought an end that was not seen.
    if (wait !== null && this.#isWoken) this.#sleep(0)
    else this.#sleep(wait ?? Math.min(1000 * 2 ** this.#failures, longestWaitMs))
  }
}

/** Grants and keys that end by themselves, made after an event. What else ends lasts for longer. */
const bringingEnds = builtOnce((db) =>
  db
    .select({
      newest: sql<number>`coalesce(max(${events.number}), 0)`.mapWith(Number),
      count: sql<number>`count(
        case ${events.kind}
          when 'grant.created' then ${events.detail} #>> '{grant,expiresAt}'
          when 'key.created' then ${events.detail} ->> 'expiresAt'
        end)`.mapWith(Number),
    })
    .from(events)
    .where(gt(events.number, sql.placeholder('after')))
    .prepare('events that bring an end'),
)

/** Ends what is over. Gives the milliseconds until the next end, or null after a failure. */
export async function expire(parts: ExpiryParts): Promise<number | null> {
  const { store, sealer, settings, clock, listeningSince } = parts
  const { db } = store
  const now = clock()
  const tasks: [string, () => Promise<unknown>][] = [
    ['grants', () => expireGrants(db, now)],
    ['access keys', () => expireKeys(db, now)],
    ['sessions', () => expireSessions(db, now)],
    ['signing keys', () => keepSigningKeys(db, sealer, now, settings)],
    ['silent connectors', () => noticeSilence(db, now, listeningSince)],
    ['old rows', () => forget(db, now)],
  ]
  let isWhole = true
  for (const [what, task] of tasks) {
    try {
      await task()
    } catch (thrown) {
      isWhole = false
      log('error', `${what} that are over were not ended`, { error: fromDatabase(thrown) })
    }
  }
  if (!isWhole) return null
  return nextEnd(db, now, listeningSince).catch(() => null)
}

/** Each in a transaction of its own: one that fails holds up no other (security.md R4). */
async function expireGrants(db: Db, now: Date): Promise<void> {
  const due = await db.select({ id: grants.id }).from(grants).where(lte(grants.expiresAt, now))
  for (const { id } of due) await expireGrant(db, id, now)
}

async function expireGrant(db: Db, id: string, now: Date): Promise<void> {
  await db.transaction(async (tx) => {
    const over = and(eq(grants.id, id), lte(grants.expiresAt, now))
    const [grant] = await tx.delete(grants).where(over).returning()
    if (!grant) return
    const { destinationId, namespace, role } = grant
    const subject = subjectOf(grant)
    const detail = { grant: { id, subject, destination: { id: destinationId }, namespace, role } }
    const concerned = { destinations: [destinationId], subjects: [subject] }
    await record(tx, system, now, { kind: 'grant.expired', detail, ...concerned })
  })
}

async function expireKeys(db: Db, now: Date): Promise<void> {
  const over = and(isNull(accessKeys.endedAt), lte(accessKeys.expiresAt, now))
  const due = await db.select({ id: accessKeys.id }).from(accessKeys).where(over)
  for (const { id } of due) await expireKey(db, id, now)
}

async function expireKey(db: Db, id: string, now: Date): Promise<void> {
  await db.transaction(async (tx) => {
    const [key] = await tx
      .update(accessKeys)
      .set({ endedAt: now })
      .where(and(eq(accessKeys.id, id), isNull(accessKeys.endedAt)))
      .returning()
    if (!key) return
    const detail = { key: { id, name: key.name } }
    const destinations = await destinationsOfKey(tx, key)
    const happening = { kind: 'key.expired', detail, destinations, subjects: subjectsOfKey(key) }
    await record(tx, system, now, happening)
  })
}

async function expireSessions(db: Db, now: Date): Promise<void> {
  const over = and(isNull(sessions.endedAt), lte(sessions.expiresAt, now))
  const due = await db.select({ id: sessions.id }).from(sessions).where(over)
  for (const { id } of due) await expireSession(db, id, now)
}

/** A token never outlives its session, but a stream that was opened by it could. */
async function expireSession(db: Db, id: string, now: Date): Promise<void> {
  await db.transaction(async (tx) => {
    const [session] = await tx
      .update(sessions)
      .set({ endedAt: now })
      .where(and(eq(sessions.id, id), isNull(sessions.endedAt)))
      .returning()
    if (!session) return
    const detail = { session: id, user: { id: session.userId } }
    const destinations = await destinationsOfUser(tx, session.userId)
    const subjects = [userSubject(session.userId)]
    await record(tx, system, now, { kind: 'session.expired', detail, destinations, subjects })
  })
}

/** What ended long ago is told to nobody, and so is no event when it goes. */
async function forget(db: Db, now: Date): Promise<void> {
  const before = new Date(now.getTime() - forgetAfterMs)
  const isOld = or(lt(sessions.endedAt, before), lt(sessions.expiresAt, before))
  await db.delete(sessions).where(isOld)
  await db.delete(accessKeys).where(lt(accessKeys.endedAt, before))
  await forgetInstances(db, now)
  // The row of an ended session is still told to connectors; a provider's token of it is no use.
  const isOver = or(isNotNull(sessions.endedAt), lt(sessions.expiresAt, now))
  const over = db.select({ id: sessions.id }).from(sessions).where(isOver)
  await db.delete(providerTokens).where(inArray(providerTokens.sessionId, over))
  await db.delete(logins).where(lt(logins.expiresAt, now))
}

async function nextEnd(db: Db, now: Date, listeningSince: Date): Promise<number> {
  const [grant] = await db.select({ at: sql<string | null>`min(${grants.expiresAt})` }).from(grants)
  const [key] = await db
    .select({ at: sql<string | null>`min(${accessKeys.expiresAt})` })
    .from(accessKeys)
    .where(and(isNull(accessKeys.endedAt), isNotNull(accessKeys.expiresAt)))
  const [session] = await db
    .select({ at: sql<string | null>`min(${sessions.expiresAt})` })
    .from(sessions)
    .where(isNull(sessions.endedAt))
  const silence = await nextSilence(db, listeningSince)
  const ends = [grant?.at, key?.at, session?.at, silence].flatMap((at) =>
    at ? [new Date(at).getTime()] : [],
  )
  return Math.max(0, Math.min(longestSleepMs, ...ends.map((end) => end - now.getTime())))
}
