/**
 * Cuts by time: no message comes when a grant expires or the lease runs out, so somebody must look
 * at the clock.
 */
import type { HeldAccess } from './access.ts'
import type { Clock } from './clock.ts'
import type { Streams } from './streams.ts'

/**
 * Timers stand still while the machine sleeps, and know nothing of a wall clock that was set. So
 * however far the next deadline is, the clocks are looked at this often.
 */
const longestWaitMs = 1_000

export type Deadlined = {
  access: HeldAccess
  streams: Streams
  clock: Clock
  /** Told after streams were cut, never for none. */
  onSevered?: (count: number) => void
}

export class Deadlines {
  readonly #parts: Deadlined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** An expiry passed and its streams are not cut yet. */
  #overdue = false
  #stopped = false
  /** The expiry that comes next, in server time. */
  #expiry: number | null = null
  /** When the timer is to fire, in ms of `elapsed`. */
  #dueAt = 0

  /** Starts to watch, and goes on until `stop`. */
  constructor(parts: Deadlined) {
    this.#parts = parts
    // Only the timer is set anew. New Access is enforced by whoever took it, who counts the cuts.
    parts.access.onChange(() => this.#arm())
    this.#arm()
  }

  /** Cuts what the passing of time has ended, and says how many streams that was. */
  check(): number {
    const { access, streams, onSevered } = this.#parts
    const isDue = this.#isExpired() || !access.mayKeepStreams()
    this.#overdue = false
    const severed = isDue ? streams.recheck(access) : 0
    if (severed > 0) onSevered?.(severed)
    this.#arm()
    return severed
  }

  /**
   * Looks now, should the timer be late. A process that was stopped, or a machine that was, finds
   * the bytes that waited in its sockets before it finds its timers: asked before they pass.
   */
  catchUp(): void {
    if (!this.#stopped && this.#parts.clock.elapsed() >= this.#dueAt) this.check()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#stopped = true
  }

  #isExpired(): boolean {
    const now = this.#parts.access.now()
    return this.#overdue || (now !== null && this.#expiry !== null && now >= this.#expiry)
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    // A change may come between an expiry and its timer, and moves on to the expiry after it.
    this.#overdue = this.#isExpired()
    this.#expiry = this.#parts.access.nextExpiry()
    const waitMs = this.#wait()
    this.#dueAt = this.#parts.clock.elapsed() + waitMs
    this.#timer = setTimeout(() => this.check(), waitMs)
    this.#timer.unref()
  }

  #wait(): number {
    if (this.#overdue) return 0
    const { access, clock } = this.#parts
    const waits = [longestWaitMs]
    const leaseEndsAt = access.leaseEndsAt
    if (leaseEndsAt !== null) waits.push(leaseEndsAt - clock.elapsed())
    const now = access.now()
    if (now !== null && this.#expiry !== null) waits.push(this.#expiry - now)
    const left = waits.filter((wait) => wait > 0)
    return Math.ceil(Math.min(...left))
  }
}
