/**
 * What must hold of a run, judged from its history and from nothing else: functions of values, which
 * drive nothing and wait for nothing.
 *
 * A history is judged in segments, each from a state that is known to one that is known again. Where
 * it cannot be told in what order two things happened, the order is taken that is no offence.
 */
import { type Happened, of, type Of } from './history.ts'
import { covers, type Grant, groupsOf, listsOf, type State } from './model.ts'
import { lateMs, type Segment, type Stream, Timeline } from './timeline.ts'

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

/** Promised: two seconds. */
const promptMs = 2_000
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
  readonly #time: Timeline
  readonly #bytes: Map<string, Of<'bytes'>[]>
  readonly #closed: Map<string, Of<'closed'>>
  readonly #warned: Map<string, Of<'warned'>[]>
  readonly #promptMs: number

  constructor(segment: Segment) {
    this.#segment = segment
    const { entries, carried } = segment
    this.#time = new Timeline(segment)
    this.streams = [...carried, ...of(entries, 'stream')]
    this.#bytes = Map.groupBy(of(entries, 'bytes'), ({ stream }) => stream)
    this.#closed = new Map(of(entries, 'closed').map((closed) => [closed.stream, closed]))
    this.#warned = Map.groupBy(of(entries, 'warned'), ({ connector }) => connector)
    this.#promptMs = promptMs * segment.tolerance
    const { state, offsets, gap } = this.#time
    this.verdict = {
      ...{ wrong: [], checks: {}, acknowledgedMs: [], cutMs: [], carried: [], state },
      serverOffsets: offsets.slice(-8),
    }
    if (gap) this.#wrong(`4: event ${gap.number} is missing`, gap.event)
  }

  /** What was acknowledged is an event, each once; and nobody asked for what is an event besides. */
  changes(): void {
    const unclaimed = new Map(this.#time.events.map((event) => [event.number, event]))
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
      if (!this.#time.isCalm(receipt.askedAt, receipt.at)) continue
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
      const state = this.#time.stateAt(at)
      const has = (isOver: (grant: Grant) => boolean) =>
        !state.ended.has(session) && groupsOf(state, { user, destination }, isOver).size > 0
      const [surely, maybe] = [has(this.#time.isPerhapsOver(at)), has(this.#time.isSurelyOver(at))]
      if (surely && !isIn) this.#wrong('3: locked out, who has access', knock)
      if (!maybe && isIn) this.#wrong('1: let in, who has no access', knock)
    }
  }

  /** 4: the lists are what the events say. */
  settled(): void {
    for (const { lists, number } of of(this.#segment.entries, 'settled')) {
      const state = this.#time.known(number)?.state
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

  #restored(): void {
    const restored = this.#time.events.filter(({ kind }) => kind === 'database.restored')
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
    const revision = this.#time.acknowledgedBefore(stream.connector, stream.sentAt)
    if (revision !== null && !this.#time.isCoveredSince(stream, revision, stream.at)) {
      this.#wrong(`1: let in, though revision ${revision} was enforced before`, stream)
    }
    const silentMs = this.#time.silentFor(stream.connector, stream.sentAt)
    if (silentMs > this.#time.leaseMs(stream, stream.at) + lateMs) {
      this.#wrong(`1: let in after ${Math.round(silentMs)} ms without a word of the server`, stream)
    }
  }

  /** 1: a line that the API server wrote at `at`, and that came to the caller. */
  #line(stream: Stream, at: number): void {
    this.#check('lines')
    for (const ack of this.#time.acksOf(stream.connector)) {
      // It was open when this very revision was enforced.
      const state = this.#time.known(ack.revision)
      if (!state || !ack.isExact || ack.at >= at || stream.at > state.since) continue
      if (covers(state.state, stream)) continue
      return this.#wrong(`1: bytes after revision ${ack.revision} was enforced`, { stream, at })
    }
    const revision = this.#time.acknowledgedBefore(stream.connector, at)
    if (revision !== null && !this.#time.isCoveredSince(stream, revision, at)) {
      return this.#wrong(`1: bytes, though revision ${revision} was enforced before`, {
        stream,
        at,
      })
    }
    if (
      revision !== null &&
      !this.#time.isCoveredSince(stream, revision, at, this.#time.isSurelyOver(at))
    ) {
      return this.#wrong('1: bytes after what let them in was over', { stream, at })
    }
    const silentMs = this.#time.silentFor(stream.connector, at)
    const mayStay = this.#time.destinationsAt(stream, at).some(({ keepsStreams }) => keepsStreams)
    if (!mayStay && silentMs > this.#time.leaseMs(stream, at) + lateMs) {
      const told = `1: bytes after ${Math.round(silentMs)} ms without a word of the server`
      this.#wrong(told, { stream, at })
    }
  }

  /** 3: a stream that was cut had lost something, or its connector had. */
  #cut(stream: Stream, at: number): void {
    this.#check('cuts')
    const from = this.#time.acknowledgedBefore(stream.connector, stream.sentAt)
    const states = this.#time.statesFrom(from ?? this.#segment.base.number, at)
    const lost = states.find((state) => !covers(state, stream))
    if (lost && stream.at > this.#segment.begunAt) this.#wasCut(lost.number, at)
    const isOver = this.#time.isPerhapsOver(at)
    if (lost || states.some((state) => !covers(state, stream, isOver))) return
    const leaseMs = this.#time.leaseMs(stream, at)
    const hasLapsed = (this.#warned.get(stream.connector) ?? []).some((warned) => {
      return warned.at <= at + lateMs && warned.at >= at - leaseMs - 2 * lateMs
    })
    const wasStruck = this.#time.faults.some(({ whom, what, at: when }) => {
      const isItsOwn = whom === stream.connector && /^(ended|started|clock)$/.test(what)
      return isItsOwn && when >= stream.at - lateMs && when <= at + lateMs
    })
    const wasRemoved = states.some(({ destinations }) => !destinations.has(stream.destination))
    if (hasLapsed || wasStruck || wasRemoved) return
    this.#wrong('3: cut, though all that it came in with stands', { stream, at })
  }

  #wasCut(number: number, at: number): void {
    const since = this.#time.known(number)?.since ?? at
    if (this.#time.isCalm(since, at)) this.verdict.cutMs.push(at - since)
  }

  /** What is open at the end is covered by what stands then, and goes on. */
  #stillOpen(stream: Stream): void {
    const settled = of(this.#segment.entries, 'settled').at(-1)
    if (!settled) return
    const state = this.#time.stateAt(settled.at)
    this.#check('still open')
    if (!covers(state, stream, this.#time.isSurelyOver(settled.at))) {
      this.#wrong('2: open, though all else is settled', stream)
    }
    this.verdict.carried.push({ ...stream, at: settled.at, sentAt: settled.at })
  }

  /** Asked for what is so already: nothing changes, and there is no event. */
  #isIdle({ what, number, about }: Of<'op'>): boolean {
    if (what !== 'disable' && what !== 'enable') return false
    const user = this.#time.known(number ?? 0)?.state.users.get(about[0] ?? '')
    return user?.isDisabled === (what === 'disable')
  }

  #mayBe(name: string, listed: string): boolean {
    if (name !== 'sessions') return false
    const [, email = ''] = listed.split(' ')
    const user = [...this.verdict.state.users.values()].find((each) => each.email === email)
    return this.#segment.doubtful.has(email) || this.#segment.doubtful.has(user?.id ?? '')
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
