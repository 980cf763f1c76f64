/** Says that half of the lease is over without a word from the server: there is time to act yet. */
import type { HeldAccess } from '../access.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../status.ts'

const lookMs = 1_000

export class LeaseWarning {
  readonly #access: HeldAccess
  readonly #clock: Clock
  readonly #log: Log
  readonly #looking: NodeJS.Timeout
  #isHalfOver = false
  #count = 0

  /** Looks until `close`. */
  constructor(access: HeldAccess, clock: Clock, log: Log) {
    this.#access = access
    this.#clock = clock
    this.#log = log
    this.#looking = setInterval(() => this.look(), lookMs)
    this.#looking.unref()
  }

  get isHalfOver(): boolean {
    return this.#isHalfOver
  }

  /** How often this was so: once for each silence. */
  get count(): number {
    return this.#count
  }

  close(): void {
    clearInterval(this.#looking)
  }

  look(): void {
    const left = leftOf(this.#access, this.#clock.elapsed())
    if (left === null) return
    const { leftMs, leaseSeconds } = left
    const isHalfOver = leftMs <= leaseSeconds * 500
    if (isHalfOver === this.#isHalfOver) return
    this.#isHalfOver = isHalfOver
    if (!isHalfOver) return this.#log('info', 'the server is heard of again')
    this.#count += 1
    const facts = { leaseSeconds, leaseLeftSeconds: Math.max(0, Math.round(leftMs / 1000)) }
    this.#log('warn', 'half of the lease is over without a word from the server', facts)
  }
}

function leftOf(access: HeldAccess, now: number): { leftMs: number; leaseSeconds: number } | null {
  const { current, leaseEndsAt } = access
  if (!current || leaseEndsAt === null) return null
  return { leftMs: leaseEndsAt - now, leaseSeconds: current.leaseSeconds }
}
