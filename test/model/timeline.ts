/**
 * What a history says of instants: what had been acknowledged, who can have known what, how long a
 * connector can have been without a word of the server, what was over by any clock. It judges nothing.
 */
import { type Entry, type Happened, of, type Of } from './history.ts'
import { apply, copyOf, covers, type Grant, startSession, type State } from './model.ts'

export type Stream = Of<'stream'>

export type Segment = {
  base: State
  begunAt: number
  entries: Entry[]
  /** Open since before. */
  carried: Stream[]
  /**
   * It began with a database that went back, and that is said; or perhaps: where as much happened
   * since as was lost, nobody can know.
   */
  restored: 'said' | 'perhaps' | 'no'
  /** Wall clock less the clock of the history. */
  wallOffset: number
  /** What the server's clock was shifted by before. */
  serverOffsets: { at: number; ms: number }[]
  usualLeaseSeconds: number
  /** Users of whom a login may have been made that nobody was told of. */
  doubtful: Set<string>
  /** Generous on a busy machine: what is promised in seconds is judged by as many times that. */
  tolerance: number
}

/** Timers come late, and half of a round trip is not known. */
export const lateMs = 3_000
/** How long an offset of the server's clock is remembered by who is linked now and then. */
const offsetMs = 60_000

export class Timeline {
  readonly events: Happened[]
  readonly faults: Of<'fault'>[]
  /** What the server's clock was shifted by, and when. */
  readonly offsets: { at: number; ms: number }[]
  /** By number, from the base on. */
  readonly #states: State[] = []
  /** The last of them. */
  readonly state: State
  /** The event that is missing, and what stands in its place. */
  gap: { number: number; event: Happened } | null = null
  readonly #segment: Segment
  /** Of each state: nobody can have known it before. */
  readonly #since: number[] = []
  readonly #acks: Map<string, Of<'enforced'>[]>
  readonly #silences = new Map<string, { from: number; to: number }[]>()
  readonly #calm: { from: number; to: number }[]

  constructor(segment: Segment) {
    this.#segment = segment
    const { entries, base, serverOffsets } = segment
    this.events = of(entries, 'event')
      .map(({ event }) => event)
      .filter(({ number }) => number > base.number)
      .toSorted((a, b) => a.number - b.number)
    this.#acks = Map.groupBy(of(entries, 'enforced'), ({ connector }) => connector)
    this.faults = of(entries, 'fault')
    const shifted = this.faults.filter(({ whom, what }) => whom === 'server' && what === 'clock')
    this.offsets = [...serverOffsets, ...shifted]
    this.#calm = spans(of(entries, 'calm').map(({ at, is }) => ({ at, isOn: is === 'begun' })))
    this.state = copyOf(base)
    for (const { id, userId, after } of of(entries, 'session')) {
      startSession(this.state, id, userId, after)
    }
    this.#fold()
  }

  acksOf(connector: string): Of<'enforced'>[] {
    return this.#acks.get(connector) ?? []
  }

  acknowledgedBefore(connector: string, at: number): number | null {
    const said = this.acksOf(connector).filter((ack) => ack.at < at)
    const known = said.map(({ revision }) => revision).filter((each) => this.known(each))
    return known.length === 0 ? null : Math.max(...known)
  }

  known(revision: number): { state: State; since: number } | null {
    const index = revision - this.#segment.base.number
    const [state, since] = [this.#states[index], this.#since[index]]
    return state && since !== undefined ? { state, since } : null
  }

  isCoveredSince(
    stream: Stream,
    revision: number,
    at: number,
    isOver?: (grant: Grant) => boolean,
  ): boolean {
    return this.statesFrom(revision, at).some((state) => covers(state, stream, isOver))
  }

  /** From a revision to the newest that there can have been at an instant. */
  statesFrom(revision: number, at: number): State[] {
    const from = Math.max(0, revision - this.#segment.base.number)
    const later = this.#since.findIndex((since) => since > at)
    return this.#states.slice(from, later < 0 ? undefined : Math.max(later, from + 1))
  }

  stateAt(at: number): State {
    const settled = of(this.#segment.entries, 'settled').filter((each) => each.at <= at)
    const number = settled.at(-1)?.number ?? this.#segment.base.number
    return this.known(number)?.state ?? this.#segment.base
  }

  destinationsAt({ destination }: Stream, at: number) {
    const states = this.statesFrom(this.#segment.base.number, at)
    return states.flatMap(({ destinations }) => destinations.get(destination) ?? [])
  }

  /** The longest lease that it can have had. */
  leaseMs(stream: Stream, at: number): number {
    const usual = this.#segment.usualLeaseSeconds
    const leases = this.destinationsAt(stream, at).map(({ leaseSeconds }) => leaseSeconds ?? usual)
    return Math.max(15, ...leases) * 1000
  }

  /** How long at `at` nobody can have heard from the server; 0: somebody may. */
  silentFor(connector: string, at: number): number {
    let silences = this.#silences.get(connector)
    if (!silences) {
      silences = silencesOf(this.faults, [connector, 'server', 'database'])
      this.#silences.set(connector, silences)
    }
    const silence = silences.find(({ from, to }) => from < at && at < to)
    return silence ? at - silence.from : 0
  }

  isCalm(from: number, to: number): boolean {
    return this.#calm.some((calm) => calm.from <= from && to <= calm.to)
  }

  /** By the slowest of the clocks that the server had of late, and by the fastest. */
  isSurelyOver(at: number): (grant: Grant) => boolean {
    const now = at + this.#segment.wallOffset + Math.min(...this.#offsetsAt(at)) - lateMs
    return ({ expiresAt }) => expiresAt !== null && expiresAt <= now
  }

  isPerhapsOver(at: number): (grant: Grant) => boolean {
    const now = at + this.#segment.wallOffset + Math.max(...this.#offsetsAt(at)) + lateMs
    return ({ expiresAt }) => expiresAt !== null && expiresAt <= now
  }

  #offsetsAt(at: number): number[] {
    const before = this.offsets.filter((offset) => offset.at <= at - offsetMs).at(-1)
    const recent = this.offsets.filter((each) => each.at > at - offsetMs && each.at <= at + lateMs)
    return [...(before ? [before] : [{ ms: 0 }]), ...recent].map(({ ms }) => ms)
  }

  #fold(): void {
    const { base, begunAt, entries } = this.#segment
    const askedAt = new Map(of(entries, 'op').map(({ number, at }) => [number, at]))
    let since = begunAt
    let number = base.number
    this.#states.push(copyOf(this.state))
    this.#since.push(since)
    for (const event of this.events) {
      number += 1
      if (event.number !== number) return void (this.gap = { number, event })
      since = Math.max(since, askedAt.get(number) ?? since)
      apply(this.state, event)
      this.#states.push(copyOf(this.state))
      this.#since.push(since)
    }
  }
}

/** When any of these was down: one that comes up while another is down ends no silence. */
export function silencesOf(faults: Of<'fault'>[], whom: string[]): { from: number; to: number }[] {
  const down = new Set<string>()
  const changes: { at: number; isOn: boolean }[] = []
  for (const fault of faults) {
    if (!whom.includes(fault.whom) || (fault.what !== 'down' && fault.what !== 'up')) continue
    const was = down.size > 0
    if (fault.what === 'down') down.add(fault.whom)
    else down.delete(fault.whom)
    if (was !== down.size > 0) changes.push({ at: fault.at, isOn: !was })
  }
  return spans(changes)
}

function spans(changes: { at: number; isOn: boolean }[]): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = []
  let from: number | null = null
  for (const { at, isOn } of changes) {
    if (isOn) from ??= at
    else if (from !== null) {
      found.push({ from, to: at })
      from = null
    }
  }
  if (from !== null) found.push({ from, to: Infinity })
  return found
}
