/** What one connector instance has enforced, as far as it was acknowledged or proved. */
import type { AccessHead } from '../wire/access.ts'
import type { LinkState } from '../wire/destinations.ts'
import type { Enforced } from '../wire/link.ts'

/** From `at` on, everything up to `revision` is enforced. */
type Step = { revision: number; at: Date; severed: number }

const keptSteps = 256

/** One connector instance, as far as enforcing goes. */
export class Receipt {
  readonly destinationId: string
  readonly instance: string
  readonly #clock: () => Date
  readonly #changed: () => void
  /** Links that are open: two, while one that broke is not known to have. */
  links = 0
  /** It answers no more, and had nothing open when it said so. */
  hasLeft = false
  /** When the database was last told that it is heard of, and what endpoint it reports. */
  markedAt = new Date(0)
  recordedEndpoint: string | null = null
  #problems: string[] = []
  #polledAt = new Date(0)
  /** Since its link ended; not told by instants, which go back with the clock. */
  #hasPolled = false
  #epoch: string | null = null
  #steps: Step[] = []
  #sent = 0
  #acknowledged = -1
  #verified = 0
  #sentLeaseSeconds = 0
  #leaseSeconds = 0
  #onLeaseEnd: AccessHead['onLeaseEnd'] = 'cut'
  #beatAt: Date | null = null

  constructor(destinationId: string, instance: string, clock: () => Date, changed: () => void) {
    this.destinationId = destinationId
    this.instance = instance
    this.#clock = clock
    this.#changed = changed
  }

  /** What the connector finds wrong in its cluster. */
  reported(problems: string[]): void {
    this.#problems = problems
  }

  get problems(): readonly string[] {
    return this.#problems
  }

  get leaseSeconds(): number {
    return this.#leaseSeconds
  }

  /** Access went out; it is also the first contact that a lease counts from. */
  sent({ epoch, revision, leaseSeconds, onLeaseEnd }: AccessHead): void {
    this.#enter(epoch)
    // By link and by poll, in any order.
    this.#sent = Math.max(this.#sent, revision)
    this.#sentLeaseSeconds = leaseSeconds
    this.#leaseSeconds = Math.max(this.#leaseSeconds, leaseSeconds)
    this.#onLeaseEnd = onLeaseEnd
    this.#beatAt ??= this.#clock()
  }

  /** The Access of revision `since` is known to be all there is up to `revision`. */
  verified(since: number, revision: number): void {
    // Of an Access that is not the newest that it was sent, this says nothing.
    if (since !== this.#sent) return
    this.#verified = Math.max(this.#verified, revision)
    this.#step(0)
  }

  acknowledged({ epoch, revision, severed }: Enforced): void {
    // Only what was sent can be acknowledged: a connector's claim is not a receipt.
    if (epoch !== this.#epoch || revision > this.#sent) return
    this.#acknowledged = Math.max(this.#acknowledged, revision)
    this.#step(severed)
  }

  /** By its digest it holds, and so has enforced, the Access of this revision. */
  proved({ epoch, revision, leaseSeconds, onLeaseEnd }: AccessHead): void {
    this.#enter(epoch)
    this.#acknowledged = Math.max(this.#acknowledged, revision)
    this.#sentLeaseSeconds = leaseSeconds
    this.#onLeaseEnd = onLeaseEnd
    this.#step(0)
  }

  beaten(at: Date): void {
    this.#beatAt = at
  }

  unlinked(): void {
    this.links -= 1
    this.#hasPolled = false
  }

  polled(at: Date): void {
    this.#polledAt = at
    this.#hasPolled = true
    this.hasLeft = false
  }

  leaseEndsAt(): Date | null {
    return this.#beatAt && new Date(this.#beatAt.getTime() + this.#leaseSeconds * 1000)
  }

  /** Polling: since its link ended it has asked, and not longer ago than half of its lease. */
  state(now: Date): LinkState {
    if (this.links > 0) return 'linked'
    // Behind a clock that was set back, it has asked in the future: that far, nobody is heard of.
    const age = Math.abs(now.getTime() - this.#polledAt.getTime())
    const isPolling = this.#hasPolled && age <= this.#leaseSeconds * 500
    return isPolling ? 'polling' : 'silent'
  }

  /** Whether it may still let somebody in, or hold something open. */
  isConcerned(now: Date): boolean {
    if (this.hasLeft) return false
    return this.#onLeaseEnd === 'keep' || (this.leaseEndsAt() ?? now) > now
  }

  /** When a revision was enforced, and how many streams were cut for it. */
  stepFor(revision: number): Step | null {
    return this.#steps.find((step) => step.revision >= revision) ?? null
  }

  /** Revisions of two epochs do not compare. */
  #enter(epoch: string): void {
    if (this.#epoch === epoch) return
    this.#epoch = epoch
    this.#steps = []
    this.#sent = 0
    this.#acknowledged = -1
    this.#verified = 0
  }

  /** An unchanged Access that was acknowledged counts for every revision it was verified up to. */
  #step(severed: number): void {
    const isCurrent = this.#acknowledged >= this.#sent
    if (isCurrent) this.#leaseSeconds = this.#sentLeaseSeconds
    const revision = isCurrent ? Math.max(this.#acknowledged, this.#verified) : this.#acknowledged
    const before = this.#steps.at(-1)
    if (revision < 0) return
    if (before && before.revision >= revision) {
      // Said twice, by link and by poll: what was cut is in one of the two.
      before.severed += severed
      return
    }
    this.#steps.push({ revision, at: this.#clock(), severed })
    if (this.#steps.length > keptSteps) this.#steps.shift()
    this.#changed()
  }
}
