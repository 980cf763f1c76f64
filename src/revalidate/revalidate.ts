/**
 * Asks each provider again and again whether the people who came in by it still stand: the loop.
 * Each turn runs by itself, so that a provider which hangs holds up nobody else.
 */
import { isNull } from 'drizzle-orm'
import { newId } from '../credential.ts'
import { fromDatabase } from '../db/errors.ts'
import { providers } from '../db/schema.ts'
import type { ProviderRow } from '../providers.ts'
import { formatDuration } from '../wire/duration.ts'
import { log } from '../wire/log.ts'
import { claimDue, claimMs, nextDue, type Question, renewClaims, spreadOverdue } from './due.ts'
import { askingNow, paceOf, peopleOf, shortfall } from './pace.ts'
import type { Turn } from './settle.ts'
import { spansOf, takeTurn, type TurnParts } from './turn.ts'

const longestSleepMs = 10_000
const shortestSleepMs = 50
/** How long closing waits for answers: one that comes too late leaves a doubt behind. */
const closeMs = 3000

/** What questions to one provider have cost of late, and what was last said of its troubles. */
type Seen = { requestsEach: number; secondsEach: number; warnedAt: number; troubledAt: number }

/** Runs until it is closed. */
export class Revalidate {
  readonly #parts: TurnParts
  readonly #claimer = newId()
  readonly #running = new Set<Promise<void>>()
  readonly #seen = new Map<string, Seen>()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null
  #claims: NodeJS.Timeout | null = null
  #wakeAt = Infinity
  #isRunning = false

  constructor(parts: TurnParts) {
    this.#parts = parts
  }

  async open(): Promise<void> {
    const { db, clock, settings } = this.#parts
    await spreadOverdue(db, clock(), settings.revalidateSeconds)
    this.#isRunning = true
    this.#claims = setInterval(() => this.#keepClaims(), claimMs / 3)
    this.#claims.unref()
    this.#sleep(0)
  }

  async close(): Promise<void> {
    this.#isRunning = false
    if (this.#timer) clearTimeout(this.#timer)
    await this.#looking
    const late = new Promise<void>((resolve) => setTimeout(resolve, closeMs).unref())
    await Promise.race([this.settled(), late])
    if (this.#claims) clearInterval(this.#claims)
  }

  /** Takes up what is due now, once. Gives the milliseconds until it is worth looking again. */
  async look(): Promise<number> {
    const { db } = this.#parts
    const rows = await db.select().from(providers).where(isNull(providers.disabledAt))
    const waits: number[] = []
    for (const provider of rows) waits.push(await this.#lookAt(provider))
    const { intervalMs } = spansOf(this.#parts.settings)
    const longest = Math.max(shortestSleepMs, Math.min(longestSleepMs, intervalMs / 10))
    return Math.max(shortestSleepMs, Math.min(longest, ...waits))
  }

  /** Resolves when every question that was taken up is settled. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  /** Looks after `ms`, or sooner where that is planned already. */
  #sleep(ms: number): void {
    const at = performance.now() + ms
    if (!this.#isRunning || at >= this.#wakeAt) return
    this.#wakeAt = at
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#wakeAt = Infinity
      this.#looking = (this.#looking ?? Promise.resolve()).then(() => this.#lookOnce())
    }, ms)
    this.#timer.unref()
  }

  /** Never rejects: what fails is tried again, and ends no loop. */
  async #lookOnce(): Promise<void> {
    if (!this.#isRunning) return
    const wait = await this.look().catch((thrown: unknown) => {
      log('error', 'nobody was asked about', { error: fromDatabase(thrown) })
      return longestSleepMs
    })
    this.#sleep(wait)
  }

  async #lookAt(provider: ProviderRow): Promise<number> {
    const { db, clock, settings } = this.#parts
    const now = clock()
    const { graceMs } = spansOf(settings)
    const pace = await paceOf(db, provider.id)
    await this.#warnOfShortfall(provider, now)
    // Places that are taken already lie ahead: whoever were claimed now would only wait for them.
    const ahead = (pace?.nextRequestAt.getTime() ?? 0) - now.getTime()
    if (ahead > 1000) return ahead - 1000
    const isQuiet =
      pace?.quietUntil !== undefined && pace.quietUntil !== null && pace.quietUntil > now
    const free = provider.questionsAtOnce - (await askingNow(db, provider.id, now))
    const most = Math.min(free, Math.max(1, Math.floor(provider.questionsPerMinute / 60)))
    if (most <= 0) return longestSleepMs
    const claiming = {
      providerId: provider.id,
      claimer: this.#claimer,
      now,
      most,
      graceMs,
      isQuiet,
    }
    for (const question of await claimDue(db, claiming)) this.#take(provider, question, isQuiet)
    if (isQuiet) return longestSleepMs
    const due = await nextDue(db, provider.id)
    return due ? due.getTime() - now.getTime() : longestSleepMs
  }

  #take(provider: ProviderRow, question: Question, isQuiet: boolean): void {
    const begunAt = this.#parts.clock()
    const turn = this.#ask({ question, provider, begunAt }, isQuiet).finally(() => {
      this.#running.delete(turn)
      this.#sleep(shortestSleepMs)
    })
    this.#running.add(turn)
  }

  /** Never rejects: what is not settled is taken up again when its claim runs out. */
  async #ask(turn: Turn, isQuiet: boolean): Promise<void> {
    const started = performance.now()
    try {
      const { requests, trouble } = await takeTurn(this.#parts, turn, { isQuiet })
      this.#learn(turn.provider, requests, (performance.now() - started) / 1000)
      if (trouble !== null) this.#sayTrouble(turn.provider, trouble)
    } catch (thrown) {
      log('error', 'a question was not settled', { error: fromDatabase(thrown) })
    }
  }

  #keepClaims(): void {
    if (this.#running.size === 0) return
    const { db, clock } = this.#parts
    renewClaims(db, this.#claimer, clock()).catch((thrown: unknown) => {
      log('warn', 'claims were not renewed', { error: fromDatabase(thrown) })
    })
  }

  #learn({ id }: ProviderRow, requests: number, seconds: number): void {
    if (requests === 0) return
    const seen = this.#seenOf(id)
    seen.requestsEach += (requests - seen.requestsEach) / 8
    seen.secondsEach += (seconds - seen.secondsEach) / 8
  }

  #seenOf(id: string): Seen {
    const fresh = { requestsEach: 1, secondsEach: 0.1, warnedAt: 0, troubledAt: 0 }
    const seen = this.#seen.get(id) ?? fresh
    this.#seen.set(id, seen)
    return seen
  }

  /** Once a minute at most: a provider that is down fails for everybody. */
  #sayTrouble({ id, name }: ProviderRow, why: string): void {
    const seen = this.#seenOf(id)
    if (performance.now() - seen.troubledAt < 60_000 && seen.troubledAt > 0) return
    seen.troubledAt = performance.now()
    log('warn', 'a provider does not say whether people stand', { provider: name, why })
  }

  async #warnOfShortfall(provider: ProviderRow, now: Date): Promise<void> {
    const seen = this.#seenOf(provider.id)
    const { revalidateSeconds } = this.#parts.settings
    if (now.getTime() - seen.warnedAt < revalidateSeconds * 1000) return
    seen.warnedAt = now.getTime()
    const { questionsPerMinute: perMinute, questionsAtOnce: atOnce } = provider
    const people = await peopleOf(this.#parts.db, provider.id)
    const load = { ...seen, people, intervalSeconds: revalidateSeconds, perMinute, atOnce }
    const needed = shortfall(load)
    if (!needed) return
    log('warn', 'the limits of a provider do not let everybody be asked about in time', {
      provider: provider.name,
      people,
      interval: formatDuration(revalidateSeconds),
      wouldDo: {
        questionsPerMinute: needed.questionsPerMinute,
        questionsAtOnce: needed.questionsAtOnce,
        orInterval: formatDuration(needed.intervalSeconds),
      },
    })
  }
}
