/**
 * What must hold of a run, judged from its history and from nothing else: functions of values, which
 * drive nothing and wait for nothing.
 *
 * A history is judged in segments, each from a state that is known to one that is known again. Where
 * it cannot be told in what order two things happened, the order is taken that is no offence.
 */
import { type Entry, type Happened, of, type Of } from './history.ts'
import { apply, copyOf, covers, groupsOf, listsOf, type State, startSession } from './model.ts'
import type { Grant } from './model.ts'

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

export type Verdict = {
  wrong: string[]
  /** How often each thing was looked at: a judge that looks at nothing finds nothing. */
  checks: Record<string, number>
  /** From the request of a change to the word that it is enforced, and to the cut, in ms. */
  acknowledgedMs: number[]
  cutMs: number[]
  carried: Stream[]
  state: State
  serverOffsets: { at: number; ms: number }[]
}

/** Timers come late, and half of a round trip is not known. */
const lateMs = 3_000
/** Promised: two seconds. */
const promptMs = 2_000
/** How long an offset of the server's clock is remembered by who is linked now and then. */
const offsetMs = 60_000

export function judge(segment: Segment): Verdict {
  const judging = new Judging(segment)
  judging.changes()
  for (const stream of judging.streams) judging.stream(stream)
  judging.receipts()
  judging.knocks()
  judging.settled()
  return judging.verdict
}

class Judging {
  readonly verdict: Verdict
  readonly streams: Stream[]
  readonly #segment: Segment
  readonly #events: Happened[]
  readonly #states: State[] = []
  /** Of each state: nobody can have known it before. */
  readonly #since: number[] = []
  readonly #acks: Map<string, Of<'enforced'>[]>
  readonly #bytes: Map<string, Of<'bytes'>[]>
  readonly #closed: Map<string, Of<'closed'>>
  readonly #warned: Map<string, Of<'warned'>[]>
  readonly #faults: Of<'fault'>[]
  readonly #silences = new Map<string, { from: number; to: number }[]>()
  readonly #offsets: { at: number; ms: number }[]
  readonly #calm: { from: number; to: number }[]

  constructor(segment: Segment) {
    this.#segment = segment
    const { entries, base, carried, serverOffsets } = segment
    this.#events = of(entries, 'event')
      .map(({ event }) => event)
      .filter(({ number }) => number > base.number)
      .toSorted((a, b) => a.number - b.number)
    this.streams = [...carried, ...of(entries, 'stream')]
    this.#acks = Map.groupBy(of(entries, 'enforced'), ({ connector }) => connector)
    this.#bytes = Map.groupBy(of(entries, 'bytes'), ({ stream }) => stream)
    this.#closed = new Map(of(entries, 'closed').map((closed) => [closed.stream, closed]))
    this.#warned = Map.groupBy(of(entries, 'warned'), ({ connector }) => connector)
    this.#faults = of(entries, 'fault')
    const shifted = this.#faults.filter(({ whom, what }) => whom === 'server' && what === 'clock')
    this.#offsets = [...serverOffsets, ...shifted]
    this.#calm = spans(of(entries, 'calm').map(({ at, is }) => ({ at, isOn: is === 'begun' })))
    const checks = {}
    const state = copyOf(base)
    for (const { id, userId, after } of of(entries, 'session')) {
      startSession(state, id, userId, after)
    }
    this.verdict = {
      ...{ wrong: [], checks, acknowledgedMs: [], cutMs: [], carried: [], state },
      serverOffsets: this.#offsets.slice(-8),
    }
    this.#fold(state)
  }

  /** What was acknowledged is an event, each once; and nobody asked for what is an event besides. */
  changes(): void {
    const unclaimed = new Map(this.#events.map((event) => [event.number, event]))
    const ops = of(this.#segment.entries, 'op')
    const acknowledged = ops.filter(({ outcome }) => outcome === 'acknowledged')
    for (const op of acknowledged.filter(({ number }) => number !== null)) {
      this.#check('changes')
      const event = unclaimed.get(op.number ?? 0)
      if (event && isOf(event, op)) unclaimed.delete(event.number)
      else if (!this.#isIdle(op)) this.#wrong(`4: acknowledged, and no event of its own`, op)
    }
    const unnumbered = acknowledged.filter(({ number, event }) => number === null && event !== '')
    const lost = ops.filter(({ outcome }) => outcome === 'lost')
    for (const op of [...unnumbered, ...lost]) {
      const event = [...unclaimed.values()].find((each) => isOf(each, op))
      if (event) unclaimed.delete(event.number)
      else if (op.outcome === 'acknowledged') this.#wrong(`4: acknowledged, and no event`, op)
    }
    for (const event of unclaimed.values()) {
      if (event.actor.kind === 'user') this.#wrong('4: an event that nobody asked for', event)
    }
    for (const op of lost.filter(({ what }) => what === 'log in')) {
      for (const word of op.about) this.#segment.doubtful.add(word)
    }
    this.#restored()
  }

  stream(stream: Stream): void {
    this.#sender(stream)
    this.#admission(stream)
    for (const { last } of this.#bytes.get(stream.id) ?? []) this.#line(stream, last)
    const closed = this.#closed.get(stream.id)
    if (closed?.by === 'connector') this.#cut(stream, closed.at)
    if (!closed) this.#stillOpen(stream)
  }

  /** 2. */
  receipts(): void {
    for (const receipt of of(this.#segment.entries, 'receipt')) {
      if (!this.#isCalm(receipt.askedAt, receipt.at)) continue
      this.#check('receipts')
      const ms = receipt.at - receipt.askedAt
      this.verdict.acknowledgedMs.push(ms)
      if (!receipt.isEnforced) this.#wrong('2: a change is not enforced everywhere', receipt)
      else if (ms > this.#promptMs) this.#wrong(`2: a change is enforced after ${ms} ms`, receipt)
    }
  }

  /** 3: whoever has access is in, and nobody else. */
  knocks(): void {
    for (const knock of of(this.#segment.entries, 'knock')) {
      this.#check('knocks')
      const { user, destination, session, isIn, at } = knock
      const state = this.#stateAt(at)
      const has = (isOver: (grant: Grant) => boolean) =>
        !state.ended.has(session) && groupsOf(state, { user, destination }, isOver).size > 0
      const [surely, maybe] = [has(this.#isPerhapsOver(at)), has(this.#isSurelyOver(at))]
      if (surely && !isIn) this.#wrong('3: locked out, who has access', knock)
      if (!maybe && isIn) this.#wrong('1: let in, who has no access', knock)
    }
  }

  /** 4: the lists are what the events say. */
  settled(): void {
    for (const { lists, number } of of(this.#segment.entries, 'settled')) {
      const state = this.#states[number - this.#segment.base.number]
      if (!state) {
        this.#wrong(`4: event ${number} was never read`, null)
        continue
      }
      this.#check('settled')
      const expected = listsOf(state)
      for (const name of [
        'users',
        'groups',
        'keys',
        'destinations',
        'sessions',
        'grants',
      ] as const) {
        const [there, wanted] = [new Set(lists[name]), new Set(expected[name])]
        const missing = [...wanted].filter((each) => !there.has(each) && !mayEnd(name, each, state))
        const more = [...there].filter((each) => !wanted.has(each) && !this.#mayBe(name, each))
        if (missing.length > 0) this.#wrong(`4: not in the list of ${name}`, missing)
        if (more.length > 0) this.#wrong(`4: in the list of ${name} by no event`, more)
      }
    }
  }

  #fold(state: State): void {
    const { base, begunAt, entries } = this.#segment
    const askedAt = new Map(of(entries, 'op').map(({ number, at }) => [number, at]))
    let since = begunAt
    let number = base.number
    this.#states.push(copyOf(state))
    this.#since.push(since)
    for (const event of this.#events) {
      number += 1
      if (event.number !== number) return this.#wrong(`4: event ${number} is missing`, event)
      since = Math.max(since, askedAt.get(number) ?? since)
      apply(state, event)
      this.#states.push(copyOf(state))
      this.#since.push(since)
    }
  }

  #restored(): void {
    const restored = this.#events.filter(({ kind }) => kind === 'database.restored')
    const allowed = { said: [1], perhaps: [0, 1], no: [0] }[this.#segment.restored]
    if (allowed.includes(restored.length)) return
    this.#wrong(`4: ${restored.length} events of a restored database`, restored)
  }

  #sender({ user, session, sender, id, connector }: Stream): void {
    if (user === sender.user && session === sender.session) return
    this.#wrong('1: let in as somebody else', { id, connector, user, session, sender })
  }

  /** 1: let in by what the connector had not yet said is over, and within its lease. */
  #admission(stream: Stream): void {
    if (stream.sentAt <= this.#segment.begunAt) return
    this.#check('admissions')
    const revision = this.#acknowledgedBefore(stream.connector, stream.sentAt)
    if (revision !== null && !this.#isCoveredSince(stream, revision, stream.at)) {
      this.#wrong(`1: let in, though revision ${revision} was enforced before`, stream)
    }
    const silentMs = this.#silentFor(stream.connector, stream.sentAt)
    if (silentMs > this.#leaseMs(stream, stream.at) + this.#lateMs) {
      this.#wrong(`1: let in after ${Math.round(silentMs)} ms without a word of the server`, stream)
    }
  }

  /** 1: a line that the API server wrote at `at`, and that came to the caller. */
  #line(stream: Stream, at: number): void {
    this.#check('lines')
    for (const ack of this.#acks.get(stream.connector) ?? []) {
      // It was open when this very revision was enforced.
      const state = this.#known(ack.revision)
      if (!state || !ack.isExact || ack.at >= at || stream.at > state.since) continue
      if (covers(state.state, stream)) continue
      return this.#wrong(`1: bytes after revision ${ack.revision} was enforced`, { stream, at })
    }
    const revision = this.#acknowledgedBefore(stream.connector, at)
    if (revision !== null && !this.#isCoveredSince(stream, revision, at)) {
      return this.#wrong(`1: bytes, though revision ${revision} was enforced before`, {
        stream,
        at,
      })
    }
    if (revision !== null && !this.#isCoveredSince(stream, revision, at, this.#isSurelyOver(at))) {
      return this.#wrong('1: bytes after what let them in was over', { stream, at })
    }
    const silentMs = this.#silentFor(stream.connector, at)
    const mayStay = this.#destinationsAt(stream, at).some(({ keepsStreams }) => keepsStreams)
    if (!mayStay && silentMs > this.#leaseMs(stream, at) + this.#lateMs) {
      const told = `1: bytes after ${Math.round(silentMs)} ms without a word of the server`
      this.#wrong(told, { stream, at })
    }
  }

  /** 3: a stream that was cut had lost something, or its connector had. */
  #cut(stream: Stream, at: number): void {
    this.#check('cuts')
    const from = this.#acknowledgedBefore(stream.connector, stream.sentAt)
    const states = this.#statesFrom(from ?? this.#segment.base.number, at)
    const lost = states.find((state) => !covers(state, stream))
    if (lost && stream.at > this.#segment.begunAt) this.#wasCut(lost.number, at)
    const isOver = this.#isPerhapsOver(at)
    if (lost || states.some((state) => !covers(state, stream, isOver))) return
    const leaseMs = this.#leaseMs(stream, at)
    const hasLapsed = (this.#warned.get(stream.connector) ?? []).some((warned) => {
      return warned.at <= at + lateMs && warned.at >= at - leaseMs - 2 * lateMs
    })
    const wasStruck = this.#faults.some(({ whom, what, at: when }) => {
      const isItsOwn = whom === stream.connector && /^(ended|started|clock)$/.test(what)
      return isItsOwn && when >= stream.at - lateMs && when <= at + lateMs
    })
    const wasRemoved = states.some(({ destinations }) => !destinations.has(stream.destination))
    if (hasLapsed || wasStruck || wasRemoved) return
    this.#wrong('3: cut, though all that it came in with stands', { stream, at })
  }

  #wasCut(number: number, at: number): void {
    const since = this.#since[number - this.#segment.base.number] ?? at
    if (this.#isCalm(since, at)) this.verdict.cutMs.push(at - since)
  }

  /** What is open at the end is covered by what stands then, and goes on. */
  #stillOpen(stream: Stream): void {
    const settled = of(this.#segment.entries, 'settled').at(-1)
    if (!settled) return
    const state = this.#stateAt(settled.at)
    this.#check('still open')
    if (!covers(state, stream, this.#isSurelyOver(settled.at))) {
      this.#wrong('2: open, though all else is settled', stream)
    }
    this.verdict.carried.push({ ...stream, at: settled.at, sentAt: settled.at })
  }

  #acknowledgedBefore(connector: string, at: number): number | null {
    const said = (this.#acks.get(connector) ?? []).filter((ack) => ack.at < at)
    const known = said.map(({ revision }) => revision).filter((each) => this.#known(each))
    return known.length === 0 ? null : Math.max(...known)
  }

  #known(revision: number): { state: State; since: number } | null {
    const index = revision - this.#segment.base.number
    const [state, since] = [this.#states[index], this.#since[index]]
    return state && since !== undefined ? { state, since } : null
  }

  #isCoveredSince(
    stream: Stream,
    revision: number,
    at: number,
    isOver?: (grant: Grant) => boolean,
  ): boolean {
    return this.#statesFrom(revision, at).some((state) => covers(state, stream, isOver))
  }

  /** From a revision to the newest that there can have been at an instant. */
  #statesFrom(revision: number, at: number): State[] {
    const from = Math.max(0, revision - this.#segment.base.number)
    const later = this.#since.findIndex((since) => since > at)
    return this.#states.slice(from, later < 0 ? undefined : Math.max(later, from + 1))
  }

  #stateAt(at: number): State {
    const settled = of(this.#segment.entries, 'settled').filter((each) => each.at <= at)
    const number = settled.at(-1)?.number ?? this.#segment.base.number
    return this.#known(number)?.state ?? this.#segment.base
  }

  #destinationsAt({ destination }: Stream, at: number) {
    const states = this.#statesFrom(this.#segment.base.number, at)
    return states.flatMap(({ destinations }) => destinations.get(destination) ?? [])
  }

  /** The longest lease that it can have had. */
  #leaseMs(stream: Stream, at: number): number {
    const usual = this.#segment.usualLeaseSeconds
    const leases = this.#destinationsAt(stream, at).map(({ leaseSeconds }) => leaseSeconds ?? usual)
    return Math.max(15, ...leases) * 1000
  }

  /** How long at `at` nobody can have heard from the server; 0: somebody may. */
  #silentFor(connector: string, at: number): number {
    let silences = this.#silences.get(connector)
    if (!silences) {
      silences = silencesOf(this.#faults, [connector, 'server', 'database'])
      this.#silences.set(connector, silences)
    }
    const silence = silences.find(({ from, to }) => from < at && at < to)
    return silence ? at - silence.from : 0
  }

  #isCalm(from: number, to: number): boolean {
    return this.#calm.some((calm) => calm.from <= from && to <= calm.to)
  }

  /** By the slowest of the clocks that the server had of late, and by the fastest. */
  #isSurelyOver(at: number): (grant: Grant) => boolean {
    const now = at + this.#segment.wallOffset + Math.min(...this.#offsetsAt(at)) - this.#lateMs
    return ({ expiresAt }) => expiresAt !== null && expiresAt <= now
  }

  #isPerhapsOver(at: number): (grant: Grant) => boolean {
    const now = at + this.#segment.wallOffset + Math.max(...this.#offsetsAt(at)) + this.#lateMs
    return ({ expiresAt }) => expiresAt !== null && expiresAt <= now
  }

  #offsetsAt(at: number): number[] {
    const before = this.#offsets.filter((offset) => offset.at <= at - offsetMs).at(-1)
    const recent = this.#offsets.filter((each) => each.at > at - offsetMs && each.at <= at + lateMs)
    return [...(before ? [before] : [{ ms: 0 }]), ...recent].map(({ ms }) => ms)
  }

  /** Asked for what is so already: nothing changes, and there is no event. */
  #isIdle({ what, number, about }: Of<'op'>): boolean {
    if (what !== 'disable' && what !== 'enable') return false
    const user = this.#known(number ?? 0)?.state.users.get(about[0] ?? '')
    return user?.isDisabled === (what === 'disable')
  }

  #mayBe(name: string, listed: string): boolean {
    if (name !== 'sessions') return false
    const [, email = ''] = listed.split(' ')
    const user = [...this.verdict.state.users.values()].find((each) => each.email === email)
    return this.#segment.doubtful.has(email) || this.#segment.doubtful.has(user?.id ?? '')
  }

  get #promptMs(): number {
    return promptMs * this.#segment.tolerance
  }

  get #lateMs(): number {
    return lateMs
  }

  #check(what: string): void {
    this.verdict.checks[what] = (this.verdict.checks[what] ?? 0) + 1
  }

  #wrong(what: string, about: unknown): void {
    this.verdict.wrong.push(`${what}: ${JSON.stringify(about)}`)
  }
}

function isOf({ kind, detail }: Happened, op: Of<'op'>): boolean {
  const told = JSON.stringify(detail)
  return kind === op.event && op.about.every((word) => told.includes(word))
}

/** A grant that ends by itself is not listed from then on, and its event comes a moment later. */
function mayEnd(name: string, listed: string, state: State): boolean {
  const [id = ''] = listed.split(' ')
  return name === 'grants' && (state.grants.get(id)?.expiresAt ?? null) !== null
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
