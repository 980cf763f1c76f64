/**
 * Who has enforced what: the acknowledgements of connector instances, by link and by poll, kept
 * while they are heard of and, for an instance that is gone, until its lease has surely ended.
 */
import type { Links } from '../call.ts'
import type { LinkState, Receipt as WireReceipt } from '../wire/destinations.ts'
import type { Enforced } from '../wire/link.ts'
import type { Look } from './look.ts'
import { Receipt } from './receipt.ts'
import { type Behind, Revocations } from './revocations.ts'

type Connector = WireReceipt['connectors'][number]
/** Acknowledgements of Access, and the streams that were cut for them. */
type Totals = { receipts: number; severed: number }
type Known = { epoch?: string | null | undefined; revision?: number | null | undefined }

/** What is told of them as metrics. */
export type Numbers = Totals & {
  /** Instances that are linked. */
  links: number
  /** The most that an instance that is heard of has not acknowledged, and for how long. */
  revisionLag: number
  lagSeconds: number
  revocations: Revocations['seconds']
}

/** Of one destination, so that whoever holds a key of one crowds nobody out at another. */
const keptGone = 256

/** In so much time, whose link broke has dialled again or polled, if the network lets them. */
const momentMs = 10_000

export class Receipts {
  readonly #clock: () => Date
  /** By destination, then by instance in the order in which they were last heard of. */
  readonly #known = new Map<string, Map<string, Receipt>>()
  readonly #waiting = new Set<() => void>()
  readonly #revocations = new Revocations()
  readonly #totals: Totals = { receipts: 0, severed: 0 }

  constructor(clock: () => Date) {
    this.#clock = clock
  }

  /** An instance says hello, and which Access it knows: what that lets in, it may let in. */
  link(destinationId: string, instance: string, known: Known): Receipt {
    const receipt = this.#of(destinationId, instance, known)
    receipt.links += 1
    receipt.hasLeft = false
    // Told anew with each link.
    receipt.reported(null)
    return receipt
  }

  unlink(receipt: Receipt): void {
    receipt.unlinked(this.#clock())
    const isOver = setTimeout(() => {
      receipt.isAwaited = false
      this.#wake()
    }, momentMs)
    isOver.unref()
    this.#wake()
  }

  /** An instance polls, beside its link or without one. */
  polled(destinationId: string, instance: string, known: Known): Receipt {
    const receipt = this.#of(destinationId, instance, known)
    receipt.polled(this.#clock())
    return receipt
  }

  find(destinationId: string, instance: string): Receipt | null {
    return this.#known.get(destinationId)?.get(instance) ?? null
  }

  /** Takes an acknowledgement, and counts it for the metrics; one of nothing that was sent is none. */
  acknowledged(receipt: Receipt, enforced: Enforced): void {
    const severed = receipt.acknowledged(enforced)
    if (severed === null) return
    this.#totals.receipts += 1
    this.severed(severed)
  }

  /** Counts streams that were cut, for the metrics. */
  severed(count: number): void {
    this.#totals.severed += count
  }

  /** What was found is measured, for whoever has acknowledged it already and who will yet. */
  looked({ epoch, revision, events }: Pick<Look, 'epoch' | 'revision' | 'events'>): void {
    this.#revocations.looked(epoch, revision, events)
    if (events.length === 0) return
    for (const receipt of this.#all()) receipt.measure(this.#revocations)
  }

  get numbers(): Numbers {
    const receipts = this.#all()
    const links = receipts.filter((receipt) => receipt.links > 0).length
    return {
      links,
      ...this.#totals,
      ...this.#lag(receipts),
      revocations: this.#revocations.seconds,
    }
  }

  /** The furthest that anybody who is heard of is behind. Of others, nobody knows. */
  #lag(receipts: Receipt[]): { revisionLag: number; lagSeconds: number } {
    const now = this.#clock()
    const lag = { revisionLag: 0, lagSeconds: 0 }
    for (const receipt of receipts) {
      const behind = receipt.state(now) === 'silent' ? null : this.behind(receipt)
      if (!behind) continue
      const seconds = Math.max(0, now.getTime() - behind.since.getTime()) / 1000
      lag.revisionLag = Math.max(lag.revisionLag, behind.revisions)
      lag.lagSeconds = Math.max(lag.lagSeconds, seconds)
    }
    return lag
  }

  linked(destinationId: string): number {
    return this.#linkedAt(destinationId).length
  }

  /** What the linked instances report, each sentence once: replicas see the same cluster. */
  problems(destinationId: string): string[] {
    const all = this.#linkedAt(destinationId).flatMap(({ problems }) => problems ?? [])
    return [...new Set(all)]
  }

  /** Whether anything is wrong there; null: who is linked has not said yet that nothing is. */
  isTroubled(destinationId: string): boolean | null {
    const linked = this.#linkedAt(destinationId)
    if (linked.some(({ problems }) => problems !== null && problems.length > 0)) return true
    const haveSaid = linked.length > 0 && linked.every(({ problems }) => problems !== null)
    return haveSaid ? false : null
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
      this.#awaited(destinationId).every((receipt) => receipt.stepFor(revision) !== null)
    await this.#until(isDone, waitMs)
    const now = this.#clock()
    return this.concerned(destinationId).map((receipt) => {
      return toWire(receipt, revision, receipt.state(now))
    })
  }

  /** Who is heard of, and whoever is not and may still let somebody in. */
  concerned(destinationId: string): Receipt[] {
    const now = this.#clock()
    const heard = this.#heardAt(destinationId)
    const offline = this.#at(destinationId).filter((receipt) => {
      return !heard.includes(receipt) && receipt.isConcerned(now)
    })
    return [...heard, ...offline]
  }

  /** How far an instance is behind; null: it is not. */
  behind(receipt: Receipt): Behind | null {
    return receipt.behind(this.#revocations)
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

  #of(destinationId: string, instance: string, { epoch = null, revision = null }: Known): Receipt {
    const here = this.#known.get(destinationId) ?? new Map<string, Receipt>()
    this.#known.set(destinationId, here)
    const known = here.get(instance)
    const enforced = (receipt: Receipt): void => {
      receipt.measure(this.#revocations)
      this.#wake()
    }
    const named = { destinationId, instance, known: { epoch, revision } }
    const receipt = known ?? new Receipt(named, this.#clock, enforced)
    here.delete(instance)
    here.set(instance, receipt)
    if (!known) forget(here)
    return receipt
  }

  #all(): Receipt[] {
    return [...this.#known.values()].flatMap((instances) => [...instances.values()])
  }

  #at(destinationId: string): Receipt[] {
    return [...(this.#known.get(destinationId)?.values() ?? [])]
  }

  #linkedAt(destinationId: string): Receipt[] {
    return this.#at(destinationId).filter(({ links }) => links > 0)
  }

  /** Who is heard of, or was until a moment ago and did not say goodbye. */
  #awaited(destinationId: string): Receipt[] {
    const now = this.#clock()
    return this.#at(destinationId).filter((receipt) => {
      return receipt.state(now) !== 'silent' || (receipt.isAwaited && !receipt.hasLeft)
    })
  }

  #heardAt(destinationId: string): Receipt[] {
    const now = this.#clock()
    return this.#at(destinationId).filter((receipt) => receipt.state(now) !== 'silent')
  }
}

/** Of instances without a link only so many are kept: their names are their own choice. */
function forget(instances: Map<string, Receipt>): void {
  const gone = [...instances.values()].filter(({ links }) => links === 0)
  for (const { instance } of gone.slice(0, -keptGone)) instances.delete(instance)
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
