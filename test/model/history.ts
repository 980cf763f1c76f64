/**
 * What was seen of a run, in the order in which it was seen: what the judge judges. All instants are
 * milliseconds of this process's monotonic clock. Upstream and callers are both in this process, so
 * that "after" is certain and no tolerance stands between them.
 */
import { createWriteStream, type WriteStream } from 'node:fs'

export type Outcome = 'acknowledged' | 'refused' | 'lost'

/** An event as the server tells it. */
export type Happened = {
  number: number
  kind: string
  at: string
  actor: { kind: string; id: string | null; name: string }
  detail: Record<string, unknown>
  destinations: string[] | null
}

/** All that the server lists, in words that compare. */
export type Lists = {
  users: string[]
  groups: string[]
  grants: string[]
  keys: string[]
  sessions: string[]
  destinations: string[]
}

export type Entry =
  /** A change that was asked for. Lost: whether it was made, only the events tell. */
  | {
      kind: 'op'
      at: number
      endedAt: number
      what: string
      outcome: Outcome
      number: number | null
      /** The kind of the event that it makes, and the ids and names that stand in it. */
      event: string
      about: string[]
      why: string | null
    }
  | { kind: 'session'; at: number; id: string; userId: string; after: number }
  | { kind: 'event'; at: number; event: Happened }
  /** A connector said that it enforces a revision: that very one, or at least it. */
  | { kind: 'enforced'; at: number; connector: string; revision: number; isExact: boolean }
  /** A request that was let in, as the API server saw it. `at`: when it came there. */
  | {
      kind: 'stream'
      at: number
      sentAt: number
      id: string
      connector: string
      destination: string
      user: string
      session: string
      groups: string[]
      /** Whom it was sent for. */
      sender: { user: string; session: string }
    }
  /** Lines that came to the caller, by when the API server wrote the first and the last of them. */
  | { kind: 'bytes'; at: number; stream: string; first: number; last: number; lines: number }
  | { kind: 'closed'; at: number; stream: string; by: 'caller' | 'connector' }
  | { kind: 'refused'; at: number; sentAt: number; connector: string; status: number | null }
  /** Down: after this nobody hears from it. Up: until this nobody did. */
  | { kind: 'fault'; at: number; whom: string; what: Fault; ms: number }
  /** A connector said that half of its lease is over, or that it is admitted no longer. */
  | { kind: 'warned'; at: number; connector: string; what: string }
  | {
      kind: 'receipt'
      at: number
      askedAt: number
      number: number
      destination: string
      isEnforced: boolean
    }
  /** Somebody knocked while nothing was wrong, and nothing went on. */
  | {
      kind: 'knock'
      at: number
      connector: string
      destination: string
      user: string
      session: string
      isIn: boolean
      told: string
    }
  /** Nothing goes on: everything is linked, and enforces `number`. */
  | { kind: 'settled'; at: number; number: number; lists: Lists }
  | { kind: 'calm'; at: number; is: 'begun' | 'over' }

export type Fault = 'down' | 'up' | 'slow' | 'fast' | 'clock' | 'ended' | 'started'
export type Of<Kind extends Entry['kind']> = Extract<Entry, { kind: Kind }>

export class History {
  readonly path: string
  #entries: Entry[] = []
  readonly #file: WriteStream
  #isOver = false

  constructor(path: string) {
    this.path = path
    this.#file = createWriteStream(path, { mode: 0o600 })
  }

  get now(): number {
    return performance.now()
  }

  add(entry: Entry): void {
    if (this.#isOver) return
    this.#entries.push(entry)
    this.#file.write(`${JSON.stringify(entry)}\n`)
  }

  /** What was added since it was taken last. */
  take(): Entry[] {
    const taken = this.#entries
    this.#entries = []
    return taken
  }

  async close(): Promise<void> {
    this.#isOver = true
    await new Promise<void>((resolve) => this.#file.end(resolve))
  }
}

export function of<Kind extends Entry['kind']>(entries: Entry[], kind: Kind): Of<Kind>[] {
  return entries.filter((entry): entry is Of<Kind> => entry.kind === kind)
}
