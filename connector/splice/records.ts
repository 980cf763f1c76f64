/**
 * A record of what passes: a line when a stream opens and one when it ends (who, what, since when,
 * how many bytes, why it ended), and the sums of them for the metrics. Lines are written here and
 * never become events of the server: a busy cluster must not hold up a revocation.
 */
import { askedOf, isLong } from './asked.ts'
import type { Admitted } from '../door/door.ts'
import type { Head } from '../door/http1.ts'
import { Gone } from './side.ts'
import { Refusal, type Log } from '../status.ts'

/** Which streams get lines: each request, those that stay open, or none. */
export const streamLogs = ['all', 'long', 'none'] as const
export type StreamLog = (typeof streamLogs)[number]

/** How a stream can end; the closed list that metrics are labelled by. */
export const endings = ['answered', 'caller_left', 'cluster_left', 'severed', 'refused'] as const
export type Ending = (typeof endings)[number]

export type Opened = {
  /** Its `Audit-ID`: the API server's audit log knows the request by the same. */
  id: string
  head: Pick<Head, 'method' | 'target'>
  upgrade: string | null
  admitted: Omit<Admitted, 'groups'>
  address: string | null
}

/** What its end is judged by. */
export type Ended = {
  /** What was thrown; null: it was carried to its end. */
  error: unknown
  severed: string | null
  /** Who let go first, where that ended it. */
  leftBy: 'caller' | 'cluster' | null
  carried: { up: number; down: number }
}

export class Records {
  readonly ended = new Map<Ending, number>(endings.map((ending) => [ending, 0]))
  readonly carried = { up: 0, down: 0 }
  readonly #log: Log
  readonly #which: StreamLog
  readonly #now: () => number

  constructor(log: Log, which: StreamLog, now: () => number = () => performance.now()) {
    this.#log = log
    this.#which = which
    this.#now = now
  }

  /** Begins the record of a stream; the returned function ends it. */
  open(opened: Opened): (ended: Ended) => void {
    const at = this.#now()
    const isTold =
      this.#which === 'all' || (this.#which === 'long' && isLong(opened.head, opened.upgrade))
    if (isTold) this.#log('info', 'stream opened', factsOf(opened))
    return (ended) => {
      const ending = endingOf(ended)
      const { up, down } = ended.carried
      this.ended.set(ending, (this.ended.get(ending) ?? 0) + 1)
      this.carried.up += up
      this.carried.down += down
      // What was cut is worth a line, however short it would have been.
      if (!isTold && (this.#which === 'none' || ending !== 'severed')) return
      const ms = Math.round(this.#now() - at)
      const facts = factsOf(opened)
      const bytes = { bytesUp: up, bytesDown: down }
      this.#log('info', 'stream closed', { ...facts, ...bytes, ms, ending, why: whyOf(ended) })
    }
  }
}

export function endingOf({ error, severed, leftBy }: Ended): Ending {
  if (severed !== null) return 'severed'
  if (error instanceof Refusal) return 'refused'
  if (leftBy !== null) return leftBy === 'caller' ? 'caller_left' : 'cluster_left'
  return error === null ? 'answered' : 'refused'
}

const whys: Record<Ending, string> = {
  answered: 'it was answered',
  caller_left: 'the caller ended it',
  cluster_left: 'the API server ended it',
  severed: 'access was withdrawn',
  refused: 'the connector failed',
}

function whyOf(ended: Ended): string {
  if (ended.severed !== null) return ended.severed
  if (ended.error instanceof Refusal) return ended.error.message
  return whys[endingOf(ended)]
}

function factsOf({ id, head, upgrade, admitted, address }: Opened) {
  const { userId, sessionId, email } = admitted
  const { verb, path, resource, namespace, name } = askedOf(head, upgrade)
  return {
    ...{ stream: id, user: email, userId, sessionId, address },
    ...{ method: head.method, path, verb, resource, namespace, name },
    ...(upgrade === null ? {} : { upgrade }),
  }
}

/** Who let go, of a stream that broke. */
export function leftBy(error: unknown, callerIsOver: boolean): Ended['leftBy'] {
  if (!(error instanceof Gone)) return null
  return callerIsOver ? 'caller' : 'cluster'
}
