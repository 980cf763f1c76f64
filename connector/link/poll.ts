/**
 * The poll: asks by HTTP what the link would say, beside it and apart from it, over connections of
 * its own. While there is no link, it is all there is: everything works, only later.
 */
import { Failure } from '../../src/wire/failure.ts'
import type { PollAck, PollAnswer, PollQuery } from '../../src/wire/poll.ts'
import type { HeldAccess } from '../access.ts'
import type { Clock } from '../clock.ts'
import type { Enforcer } from './enforcer.ts'
import { askAgainAfterMs, pollEveryMs, pollSoonMs } from './pace.ts'
import type { Log } from '../status.ts'

export type PollParts = {
  /** Asks within `timeoutMs`, with the access key as it is now. */
  ask: (query: PollQuery, timeoutMs: number) => Promise<PollAnswer>
  acknowledge: (ack: PollAck, timeoutMs: number) => Promise<unknown>
  hello: { instance: string; version: string; endpoint: string }
  access: HeldAccess
  enforcer: Enforcer
  clock: Clock
  isLinked: () => boolean
  intervalSeconds: number
  /** Whether somebody set it, and so wants to know that it cannot be had. */
  isIntervalGiven: boolean
  /** Access is new, or its lease runs again. */
  onAccess: () => void
  /** Access of this revision came by the poll, and is enforced: the link does not know. */
  onTaken: (taken: { epoch: string; revision: number }) => void
  log: Log
  random?: () => number
}

export type PollCounts = { answered: number; failed: number; refused: number }

/** How often the clock is looked at: it counts the machine's sleep, which timers do not. */
const tickMs = 200
const longestCallMs = 30_000
const shortestCallMs = 3_000

export class Poll {
  readonly counts: PollCounts = { answered: 0, failed: 0, refused: 0 }
  readonly #parts: PollParts
  readonly #ticking: NodeJS.Timeout
  #dueAt: number
  #isAsking = false
  #wasLinked = false
  #failures = 0
  /** In a row: one may be a mistake, the second confirms it. */
  #refusals = 0
  #lastReason = ''
  #warnedOfLease: number | null = null
  #isClosed = false

  /** Asks soon, and goes on until `close`. */
  constructor(parts: PollParts) {
    this.#parts = parts
    this.#dueAt = parts.clock.elapsed() + pollSoonMs(parts.random)
    this.#ticking = setInterval(() => this.#tick(), tickMs)
  }

  close(): void {
    clearInterval(this.#ticking)
    this.#isClosed = true
  }

  #tick(): void {
    const { clock, isLinked, random } = this.#parts
    const now = clock.elapsed()
    const isUp = isLinked()
    // A link that went is often back in a moment: it has that moment.
    if (this.#wasLinked && !isUp) this.#dueAt = Math.min(this.#dueAt, now + pollSoonMs(random))
    this.#wasLinked = isUp
    if (!this.#isAsking && now >= this.#dueAt) void this.#poll()
  }

  /** Never rejects: whatever is odd is a failure of this one poll. */
  async #poll(): Promise<void> {
    const { clock, enforcer } = this.#parts
    const sentAt = clock.elapsed()
    const takenBefore = enforcer.taken
    this.#isAsking = true
    try {
      const answer = await this.#parts.ask(this.#query(), this.#callMs())
      if (this.#isClosed) return
      this.counts.answered += 1
      this.#failures = 0
      this.#refusals = 0
      this.#lastReason = ''
      // Whoever was told meanwhile by the link knows better than what was asked before.
      if (enforcer.taken === takenBefore) await this.#apply(answer, sentAt)
      this.#dueAt = clock.elapsed() + this.#everyMs()
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#isAsking = false
    }
  }

  #query(): PollQuery {
    const { hello, enforcer } = this.#parts
    return { ...hello, ...enforcer.known, severedInAll: enforcer.saidInAll }
  }

  async #apply(answer: PollAnswer, sentAt: number): Promise<void> {
    const { access, enforcer, onAccess } = this.#parts
    const hadLapsed = access.lapse() !== null
    if (answer.kind === 'unchanged') {
      const isRenewed = access.renew(answer, sentAt)
      if (isRenewed && hadLapsed && access.lapse() === null) onAccess()
      return
    }
    const { epoch, revision } = answer.access
    const isTaken = enforcer.take(answer.access)
    access.renew({ at: answer.at, epoch, revision, since: revision }, sentAt)
    const telling = isTaken ? this.#tell({ epoch, revision }) : null
    if (isTaken) onAccess()
    await telling
  }

  /** The receipt, by HTTP; and the link learns that it has been overtaken. */
  async #tell(taken: { epoch: string; revision: number }): Promise<void> {
    const { acknowledge, hello, enforcer, onTaken, log } = this.#parts
    const cut = enforcer.takeUnsaid()
    try {
      await acknowledge({ instance: hello.instance, ...taken, ...cut }, this.#callMs())
    } catch (error) {
      enforcer.giveBack(cut.severed)
      log('warn', 'the server was not told that access is enforced', { error })
    }
    onTaken(taken)
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return
    const { clock, log, random, enforcer } = this.#parts
    const code = error instanceof Failure ? error.code : null
    const isRefused = code === 'unauthenticated' || code === 'forbidden'
    this.#failures += 1
    this.#refusals = code === 'unauthenticated' ? this.#refusals + 1 : 0
    this.counts[isRefused ? 'refused' : 'failed'] += 1
    const reason = error instanceof Error ? error.message : 'unknown'
    if (reason !== this.#lastReason) log(isRefused ? 'error' : 'warn', 'poll failed', { reason })
    this.#lastReason = reason
    if (this.#refusals === 2) enforcer.dismiss()
    const pace = { failures: this.#failures, refusals: this.#refusals, everyMs: this.#everyMs() }
    this.#dueAt = clock.elapsed() + askAgainAfterMs(pace, random)
  }

  #everyMs(): number {
    const { access, intervalSeconds, random } = this.#parts
    const leaseSeconds = access.current?.leaseSeconds ?? null
    this.#warnOfLease(leaseSeconds)
    const hasLapsed = access.lapse() !== null
    return pollEveryMs({ intervalSeconds, leaseSeconds, hasLapsed }, random)
  }

  /** An answer that comes after the next question is due would be too late. */
  #callMs(): number {
    const leaseMs = (this.#parts.access.current?.leaseSeconds ?? Infinity) * 1000
    return Math.max(shortestCallMs, Math.min(longestCallMs, leaseMs / 3))
  }

  #warnOfLease(leaseSeconds: number | null): void {
    const { intervalSeconds, isIntervalGiven, log } = this.#parts
    if (leaseSeconds === null || leaseSeconds === this.#warnedOfLease || !isIntervalGiven) return
    this.#warnedOfLease = leaseSeconds
    if (intervalSeconds <= leaseSeconds / 3) return
    const sentence = 'INFRA_POLL_INTERVAL is longer than a third of the lease, which goes first'
    log('warn', sentence, { intervalSeconds, leaseSeconds })
  }
}
