/**
 * Makes new Access true: holds it, and severs what it no longer lets in. By link or by poll, the
 * judging is the same, and so is the count of what was cut.
 */
import type { Access, Delta } from '../../src/wire/access.ts'
import { Histogram } from '../../src/wire/prometheus.ts'
import type { HeldAccess } from '../access.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../status.ts'
import type { Streams } from '../streams.ts'

/** What is enforced, for whoever asks the server whether it still is all there is. */
export type Known = { epoch: string; revision: number; digest: string }

/** Seconds that enforcing takes, in one turn of the loop: by then all of it is done. */
const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]

export class Enforcer {
  /** From new Access in hand until every stream that it does not let in is destroyed. */
  readonly seconds = new Histogram(bounds)
  readonly #access: HeldAccess
  readonly #streams: Pick<Streams, 'recheck'>
  readonly #log: Log
  readonly #clock: Pick<Clock, 'elapsed'>
  /** What is held is enforced as well, and came from the server as it is. */
  #isEnforced = false
  #taken = 0
  #severed = 0
  #unsaid = 0

  constructor(
    access: HeldAccess,
    streams: Pick<Streams, 'recheck'>,
    log: Log,
    clock: Pick<Clock, 'elapsed'>,
  ) {
    this.#access = access
    this.#streams = streams
    this.#log = log
    this.#clock = clock
  }

  /** How often Access was taken: whoever asked meanwhile was told of a state that is over. */
  get taken(): number {
    return this.#taken
  }

  /** All streams that were cut for lost access. */
  get severed(): number {
    return this.#severed
  }

  get known(): Known | null {
    const { current, digest } = this.#access
    if (!current || digest === null || !this.#isEnforced) return null
    return { epoch: current.epoch, revision: current.revision, digest }
  }

  /**
   * Enforces `next`: when this returns true, every stream that it does not let in is destroyed.
   * False: it is older than what is held.
   *
   * @throws whatever severing throws; then it is not enforced, and `known` says so.
   */
  take(next: Access): boolean {
    return this.#enforce(next.revision, () => this.#access.take(next))
  }

  /** The same for what changed. @throws also when it does not follow what is held. */
  change(delta: Delta): boolean {
    return this.#enforce(delta.revision, () => this.#access.change(delta))
  }

  #enforce(revision: number, hold: () => boolean): boolean {
    const from = this.#clock.elapsed()
    if (!hold()) {
      this.#log('debug', 'an older access was ignored', { revision })
      return false
    }
    this.#isEnforced = false
    this.#taken += 1
    const severed = this.#streams.recheck(this.#access)
    this.#isEnforced = true
    this.count(severed)
    this.seconds.observe((this.#clock.elapsed() - from) / 1000)
    this.#log('info', 'access taken', { revision, severed })
    return true
  }

  /** Streams were cut, here or by the clock. */
  count(severed: number): void {
    this.#severed += severed
    this.#unsaid += severed
  }

  /** How many of them the server was told of, whether or not it heard. */
  get saidInAll(): number {
    return this.#severed - this.#unsaid
  }

  /** How many streams were cut that the server was not told of; from now on it is. */
  takeUnsaid(): { severed: number; severedInAll: number } {
    const severed = this.#unsaid
    this.#unsaid = 0
    return { severed, severedInAll: this.saidInAll }
  }

  /** The server was not told after all. */
  giveBack(unsaid: number): void {
    this.#unsaid += unsaid
  }

  /**
   * The server ended our key and confirmed it: the destination was removed, or this connector is to
   * serve no longer. Nobody is let in by it any more, without waiting for the lease to run out
   * (security.md R1). Whoever is admitted again is sent Access anew, because nothing is known then.
   */
  dismiss(): void {
    if (this.known === null) return
    this.#isEnforced = false
    this.#taken += 1
    this.#access.empty()
    const severed = this.#streams.recheck(this.#access)
    this.count(severed)
    this.#log('error', 'this connector is admitted no longer, so nobody is let in', { severed })
  }
}
