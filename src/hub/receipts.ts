/**
 * Who has enforced what: the acknowledgements of connector instances, kept while a link lives and,
 * for an instance that is gone, until its lease has surely ended.
 */
import type { Links } from '../call.ts'
import type { Receipt as WireReceipt } from '../wire/destinations.ts'

type Connector = WireReceipt['connectors'][number]
/** From `at` on, everything up to `revision` is enforced. */
type Step = { revision: number; at: Date; severed: number }

const keptSteps = 256
const keptGone = 1000

/** One connector instance, as far as enforcing goes. */
export class Receipt {
  readonly destinationId: string
  readonly instance: string
  readonly #clock: () => Date
  readonly #changed: () => void
  readonly #steps: Step[] = []
  #sent = 0
  #acknowledged = -1
  #verified = 0
  #leaseSeconds = 0
  #beatAt: Date | null = null

  constructor(destinationId: string, instance: string, clock: () => Date, changed: () => void) {
    this.destinationId = destinationId
    this.instance = instance
    this.#clock = clock
    this.#changed = changed
  }

  /** Access of this revision went out; it is also the first contact that a lease counts from. */
  sent(revision: number, leaseSeconds: number): void {
    this.#sent = revision
    this.#leaseSeconds = Math.max(this.#leaseSeconds, leaseSeconds)
    this.#beatAt ??= this.#clock()
  }

  /** What was sent last is known to be all there is up to here. */
  verified(revision: number): void {
    this.#verified = revision
    this.#step(0)
  }

  acknowledged(revision: number, severed: number): void {
    // Only what was sent can be acknowledged: a connector's claim is not a receipt.
    if (revision > this.#sent) return
    this.#acknowledged = Math.max(this.#acknowledged, revision)
    this.#step(severed)
  }

  beaten(at: Date): void {
    this.#beatAt = at
  }

  leaseEndsAt(): Date | null {
    return this.#beatAt && new Date(this.#beatAt.getTime() + this.#leaseSeconds * 1000)
  }

  /** When a revision was enforced, and how many streams were cut for it. */
  stepFor(revision: number): Step | null {
    return this.#steps.find((step) => step.revision >= revision) ?? null
  }

  /** An unchanged Access that was acknowledged counts for every revision it was verified up to. */
  #step(severed: number): void {
    const isCurrent = this.#acknowledged >= this.#sent
    const revision = isCurrent ? Math.max(this.#acknowledged, this.#verified) : this.#acknowledged
    const before = this.#steps.at(-1)
    if (revision < 0 || (before && before.revision >= revision)) return
    this.#steps.push({ revision, at: this.#clock(), severed })
    if (this.#steps.length > keptSteps) this.#steps.shift()
    this.#changed()
  }
}

export class Receipts {
  readonly #clock: () => Date
  readonly #linked = new Set<Receipt>()
  #gone: Receipt[] = []
  readonly #waiting = new Set<() => void>()

  constructor(clock: () => Date) {
    this.#clock = clock
  }

  link(destinationId: string, instance: string): Receipt {
    this.#gone = this.#gone.filter((gone) => !isSame(gone, destinationId, instance))
    const receipt = new Receipt(destinationId, instance, this.#clock, () => this.#wake())
    this.#linked.add(receipt)
    return receipt
  }

  unlink(receipt: Receipt): void {
    if (!this.#linked.delete(receipt)) return
    const { destinationId, instance } = receipt
    const isBack = [...this.#linked].some((other) => isSame(other, destinationId, instance))
    if (!isBack) this.#gone = [...this.#gone, receipt].slice(-keptGone)
    this.#wake()
  }

  linked(destinationId: string): number {
    return this.#linkedAt(destinationId).length
  }

  async enforced(
    destinationId: string,
    revision: number,
    waitMs: number,
  ): ReturnType<Links['enforced']> {
    const isDone = (): boolean =>
      this.#linkedAt(destinationId).every((receipt) => receipt.stepFor(revision) !== null)
    await this.#until(isDone, waitMs)
    const offline = this.#goneAt(destinationId)
    return [
      ...this.#linkedAt(destinationId).map((receipt) => toWire(receipt, revision, 'linked')),
      ...offline.map((receipt) => toWire(receipt, revision, 'offline')),
    ]
  }

  #until(isDone: () => boolean, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (isDone() || waitMs <= 0) return resolve()
      const end = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      const look = (): void => {
        if (isDone()) end()
      }
      const timer = setTimeout(end, waitMs)
      timer.unref()
      this.#waiting.add(look)
    })
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }

  #linkedAt(destinationId: string): Receipt[] {
    return [...this.#linked].filter((receipt) => receipt.destinationId === destinationId)
  }

  /** Whoever has lost its lease admits nobody: it need not be named any more. */
  #goneAt(destinationId: string): Receipt[] {
    const now = this.#clock()
    this.#gone = this.#gone.filter((receipt) => (receipt.leaseEndsAt() ?? now) > now)
    return this.#gone.filter((receipt) => receipt.destinationId === destinationId)
  }
}

function isSame(receipt: Receipt, destinationId: string, instance: string): boolean {
  return receipt.destinationId === destinationId && receipt.instance === instance
}

function toWire(receipt: Receipt, revision: number, standing: 'linked' | 'offline'): Connector {
  const step = receipt.stepFor(revision)
  return {
    instance: receipt.instance,
    linked: standing === 'linked',
    enforcedAt: step?.at.toISOString() ?? null,
    severed: step?.severed ?? 0,
    leaseEndsAt: receipt.leaseEndsAt()?.toISOString() ?? null,
  }
}
