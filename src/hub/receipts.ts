/**
 * Who has enforced what: the acknowledgements of connector instances, by link and by poll, kept
 * while they are heard of and, for an instance that is gone, until its lease has surely ended.
 */
import type { Links } from '../call.ts'
import type { LinkState, Receipt as WireReceipt } from '../wire/destinations.ts'
import { Receipt } from './receipt.ts'

type Connector = WireReceipt['connectors'][number]
type Totals = { receipts: number; severed: number }

/** Of one destination, so that whoever holds a key of one crowds nobody out at another. */
const keptGone = 256

export class Receipts {
  readonly #clock: () => Date
  /** By destination and instance, in the order in which they were last heard of. */
  readonly #known = new Map<string, Receipt>()
  readonly #waiting = new Set<() => void>()
  readonly #totals: Totals = { receipts: 0, severed: 0 }

  constructor(clock: () => Date) {
    this.#clock = clock
  }

  link(destinationId: string, instance: string): Receipt {
    const receipt = this.#of(destinationId, instance)
    receipt.links += 1
    receipt.hasLeft = false
    // Told anew with each link, where there is anything to tell.
    receipt.reported([])
    return receipt
  }

  unlink(receipt: Receipt): void {
    receipt.unlinked()
    this.#wake()
  }

  /** An instance polls, beside its link or without one. */
  polled(destinationId: string, instance: string): Receipt {
    const receipt = this.#of(destinationId, instance)
    receipt.polled(this.#clock())
    return receipt
  }

  find(destinationId: string, instance: string): Receipt | null {
    return this.#known.get(keyOf(destinationId, instance)) ?? null
  }

  /** Counts an acknowledgement for the metrics. */
  count(severed: number): void {
    this.#totals.receipts += 1
    this.#totals.severed += severed
  }

  get numbers(): Totals & { links: number } {
    const links = [...this.#known.values()].filter((receipt) => receipt.links > 0).length
    return { links, ...this.#totals }
  }

  linked(destinationId: string): number {
    return this.#linkedAt(destinationId).length
  }

  /** What the linked instances report, each sentence once: replicas see the same cluster. */
  problems(destinationId: string): string[] {
    return [...new Set(this.#linkedAt(destinationId).flatMap(({ problems }) => problems))]
  }

  /** The best that any instance of a destination is heard by. */
  state(destinationId: string): LinkState {
    const now = this.#clock()
    const states = new Set(this.#at(destinationId).map((receipt) => receipt.state(now)))
    if (states.has('linked')) return 'linked'
    return states.has('polling') ? 'polling' : 'silent'
  }

  async enforced(
    destinationId: string,
    revision: number,
    waitMs: number,
  ): ReturnType<Links['enforced']> {
    const isDone = (): boolean =>
      this.#heardAt(destinationId).every((receipt) => receipt.stepFor(revision) !== null)
    await this.#until(isDone, waitMs)
    const now = this.#clock()
    const heard = this.#heardAt(destinationId)
    const offline = this.#at(destinationId).filter((receipt) => {
      return !heard.includes(receipt) && receipt.isConcerned(now)
    })
    return [...heard, ...offline].map((receipt) => toWire(receipt, revision, receipt.state(now)))
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

  #of(destinationId: string, instance: string): Receipt {
    const key = keyOf(destinationId, instance)
    const known = this.#known.get(key)
    const receipt = known ?? new Receipt(destinationId, instance, this.#clock, () => this.#wake())
    this.#known.delete(key)
    this.#known.set(key, receipt)
    if (!known) this.#forget(destinationId)
    return receipt
  }

  /** Of instances without a link only so many are kept: their names are their own choice. */
  #forget(destinationId: string): void {
    const gone = this.#at(destinationId).filter(({ links }) => links === 0)
    for (const one of gone.slice(0, -keptGone)) {
      this.#known.delete(keyOf(one.destinationId, one.instance))
    }
  }

  #at(destinationId: string): Receipt[] {
    return [...this.#known.values()].filter((one) => one.destinationId === destinationId)
  }

  #linkedAt(destinationId: string): Receipt[] {
    return this.#at(destinationId).filter(({ links }) => links > 0)
  }

  #heardAt(destinationId: string): Receipt[] {
    const now = this.#clock()
    return this.#at(destinationId).filter((receipt) => receipt.state(now) !== 'silent')
  }
}

function keyOf(destinationId: string, instance: string): string {
  return `${destinationId} ${instance}`
}

function toWire(receipt: Receipt, revision: number, link: LinkState): Connector {
  const step = receipt.stepFor(revision)
  return {
    instance: receipt.instance,
    linked: link === 'linked',
    link,
    enforcedAt: step?.at.toISOString() ?? null,
    severed: step?.severed ?? 0,
    leaseEndsAt: receipt.leaseEndsAt()?.toISOString() ?? null,
  }
}
