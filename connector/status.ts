/**
 * What the connector says when it does not pass a request on: a `Status` in the API server's own
 * shape, because kubectl is its reader.
 */
import { STATUS_CODES } from 'node:http'
import { printable } from '../src/wire/names.ts'
import type { Level } from '../src/wire/log.ts'

export type Log = (level: Level, message: string, facts?: Record<string, unknown>) => void

/**
 * A request that is not passed on. `message` is public and names no secret: what a caller sent is
 * repeated in it only by the name of a header. What must not be told goes in `cause`.
 */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(printable(message), options)
    this.name = 'Refusal'
    this.status = status
  }
}

/** Words that client-go tells errors apart by (`metav1.StatusReason`). */
const reasons: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  405: 'MethodNotAllowed',
  429: 'TooManyRequests',
  502: 'ServiceUnavailable',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/**
 * A whole answer on the wire, after which the connection is closed: whoever is refused has sent
 * what we do not want to read on from. There is never a `Retry-After`, by which client-go would
 * try again for minutes before it tells its user.
 */
export function statusAnswer({ status, message }: Refusal, method: string | null): string {
  const reason = reasons[status]
  const body = `${JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason ? { reason } : {}),
    code: status,
  })}\n`
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    // RFC 9110 section 11.6.1: a 401 says how to do better.
    ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${method === 'HEAD' ? '' : body}`
}

const loggedWhole = 100
const sampleMs = 1_000

/** What is logged of many alike: the first hundred, then one a second, whoever knocks how often. */
export class Sample {
  readonly #now: () => number
  #count = 0
  #last = Number.NEGATIVE_INFINITY

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  takes(): boolean {
    this.#count += 1
    const now = this.#now()
    if (this.#count > loggedWhole && now - this.#last < sampleMs) return false
    this.#last = now
    return true
  }
}

/**
 * Counts what was refused, by status, and logs a sample of each status, so that a stranger who
 * knocks cannot fill a disk. Never an event of the server: those are written one after the other.
 */
export class Refusals {
  readonly counts = new Map<number, number>()
  readonly #log: Log
  readonly #now: () => number
  readonly #samples = new Map<number, Sample>()

  constructor(log: Log, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  note(refusal: Refusal, address: string | null): void {
    const count = (this.counts.get(refusal.status) ?? 0) + 1
    this.counts.set(refusal.status, count)
    const { status, message, cause } = refusal
    const sample = this.#samples.get(status) ?? new Sample(this.#now)
    this.#samples.set(status, sample)
    if (!sample.takes()) return
    this.#log(status === 500 ? 'error' : 'warn', `refused: ${message}`, {
      status,
      address,
      count,
      ...(cause ? { cause } : {}),
    })
  }
}
