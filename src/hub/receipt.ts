/** What one connector instance has enforced, as far as it was acknowledged or proved. */
import type { Behind, Revocations, Revoked } from './revocations.ts'
import type { AccessHead } from '../wire/access.ts'
import type { LinkState } from '../wire/destinations.ts'
import type { Enforced } from '../wire/link.ts'

/**
 * From `at` on, everything up to `revision` is enforced: up to `answered` it was told and has
 * acknowledged it, and what came after that changed nothing here.
 */
type Step = { revision: number; at: Date; severed: number; answered: number }

/** The last Access that an instance says it knows. */
type Known = { epoch: string | null; revision: number | null }

const keptSteps = 256

/** One connector instance, as far as enforcing goes. */
export class Receipt {
  readonly destinationId: string
  readonly instance: string
  readonly #clock: () => Date
  readonly #stepped: (receipt: Receipt) => void
  /** Links that are open: two, while one that broke is not known to have. */
  links = 0
  /** Its link ended a moment ago: it dials again, or polls, at once. */
  isAwaited = false
  /** It answers no more, and had nothing open when it said so. */
  hasLeft = false
  /** When the database was last told that it is heard of, and what endpoint it reports. */
  markedAt = new Date(0)
  recordedEndpoint: string | null = null
  #problems: string[] | null = null
  #polledAt = new Date(0)
  /** Since its link ended; not told by instants, which go back with the clock. */
  #hasPolled = false
  #unlinkedAt = new Date(0)
  #epoch: string | null = null
  #steps: Step[] = []
  #sent = 0
  /** How many streams it has said that it cut, as far as was heard; null: it never said. */
  #severedInAll: number | null = null
  #acknowledged = -1
  #verified = 0
  #sentLeaseSeconds = 0
  #leaseSeconds = 0
  #onLeaseEnd: AccessHead['onLeaseEnd'] = 'cut'
  #known: Known
  /** Up to here each loss of access was measured; null: it knew nothing that could be lost. */
  #measured: number | null = null
  /** From the end of its lease until it was heard of again. */
  #lapse: { from: Date; to: Date } | null = null
  #lastRevoked: { revoked: Revoked; step: Step } | null = null
  #beatAt: Date | null = null

  constructor(
    { destinationId, instance, known }: { destinationId: string; instance: string; known: Known },
    clock: () => Date,
    stepped: (receipt: Receipt) => void,
  ) {
    this.destinationId = destinationId
    this.instance = instance
    this.#known = known
    this.#clock = clock
    this.#stepped = stepped
  }

  /** What the connector finds wrong in its cluster; null: it has not said since it linked. */
  reported(problems: string[] | null): void {
    this.#problems = problems
  }

  get problems(): readonly string[] | null {
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

  /** Gives how many streams were cut that nobody had heard of; null: it acknowledges nothing. */
  acknowledged({ epoch, revision, severed, severedInAll }: Enforced): number | null {
    // Only what was sent can be acknowledged: a connector's claim is not a receipt.
    if (epoch !== this.#epoch || revision > this.#sent) return null
    this.#acknowledged = Math.max(this.#acknowledged, revision)
    const unheard = this.#unheard(severedInAll, severed)
    this.#step(unheard)
    return unheard
  }

  /**
   * By its digest it holds, and so has enforced, the Access of this revision. Gives how many
   * streams were cut that nobody had heard of: the ack that told of them was lost.
   */
  proved({ epoch, revision, leaseSeconds, onLeaseEnd }: AccessHead, severedInAll?: number): number {
    this.#enter(epoch)
    this.#acknowledged = Math.max(this.#acknowledged, revision)
    this.#sentLeaseSeconds = leaseSeconds
    this.#onLeaseEnd = onLeaseEnd
    const unheard = this.#unheard(severedInAll, 0)
    this.#step(unheard)
    return unheard
  }

  beaten(at: Date): void {
    const ends = this.leaseEndsAt()
    if (ends && ends < at) this.#lapse = { from: ends, to: at }
    this.#beatAt = at
  }

  unlinked(at: Date): void {
    this.links -= 1
    this.isAwaited = this.links === 0
    this.#unlinkedAt = at
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

  /** When it was heard of last, for one that is not any more. */
  get heardAt(): Date {
    return this.#unlinkedAt > this.#polledAt ? this.#unlinkedAt : this.#polledAt
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

  /** The newest revision that is enforced; null: not known. */
  get enforced(): number | null {
    return this.#steps.at(-1)?.revision ?? null
  }

  /** How far it is behind; null: it is not, or knows nothing that could be old. */
  behind(revocations: Revocations): Behind | null {
    const from = this.enforced ?? this.#measured
    return from === null ? null : revocations.behind(this.destinationId, from)
  }

  /**
   * Counts each loss of access that it has acknowledged by now. In either order: a change may be
   * read, sent and acknowledged before anybody has looked at its event.
   */
  measure(revocations: Revocations): void {
    if (this.enforced === null) return
    const done = Math.min(this.enforced, revocations.upTo)
    const from = (this.#measured ??= done)
    if (done <= from) return
    for (const taken of revocations.takenAfter(this.destinationId, from)) {
      const step = this.stepFor(taken.number)
      if (!step || taken.number > step.answered) continue
      const revoked = revocations.acknowledged(taken, this.#cutAt(taken.at, step.at))
      this.#lastRevoked = { revoked, step }
    }
    this.#measured = done
  }

  /** The newest loss of access that it acknowledged, and the streams it cut for it. */
  get lastRevoked(): (Revoked & { severed: number }) | null {
    if (!this.#lastRevoked) return null
    const { revoked, step } = this.#lastRevoked
    return { ...revoked, severed: step.severed }
  }

  /** When a revision was enforced, and how many streams were cut for it. */
  stepFor(revision: number): Step | null {
    return this.#steps.find((step) => step.revision >= revision) ?? null
  }

  /** When `taken` was cut, at the latest: by the end of the lease, where that came before `step`. */
  #cutAt(taken: Date, step: Date): Date {
    const ends = this.leaseEndsAt()
    const lapse = ends && ends < step ? { from: ends, to: step } : this.#lapse
    const isByLease = lapse !== null && lapse.from < step && taken < lapse.to
    return isByLease && this.#onLeaseEnd === 'cut' ? lapse.from : step
  }

  /** Revisions of two epochs do not compare. */
  #enter(epoch: string): void {
    if (this.#epoch === epoch) return
    this.#epoch = epoch
    this.#steps = []
    this.#sent = 0
    this.#acknowledged = -1
    this.#verified = 0
    this.#measured = this.#known.epoch === epoch ? this.#known.revision : null
  }

  /** What this word adds to what was heard: `alone`, where there is nothing to compare it with. */
  #unheard(severedInAll: number | undefined, alone: number): number {
    if (severedInAll === undefined) return alone
    const heard = this.#severedInAll ?? severedInAll - alone
    // One that was overtaken by a later word says less, and nothing new.
    this.#severedInAll = Math.max(heard, severedInAll)
    return this.#severedInAll - heard
  }

  /** An unchanged Access that was acknowledged counts for every revision it was verified up to. */
  #step(severed: number): void {
    const isCurrent = this.#acknowledged >= this.#sent
    if (isCurrent) this.#leaseSeconds = this.#sentLeaseSeconds
    const revision = isCurrent ? Math.max(this.#acknowledged, this.#verified) : this.#acknowledged
    const before = this.#steps.at(-1)
    if (revision < 0) return
    if (before && before.revision >= revision) {
      // Said twice, by link and by poll: this is what the first did not tell.
      before.severed += severed
      return
    }
    const answered = Math.min(this.#acknowledged, this.#sent)
    this.#steps.push({ revision, at: this.#clock(), severed, answered })
    if (this.#steps.length > keptSteps) this.#steps.shift()
    this.#stepped(this)
  }
}
