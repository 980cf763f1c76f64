/**
 * An attack as data: the bytes a caller sends, and what must come of them on every runtime. The
 * oracle is what the API server received, byte for byte.
 */

/** One request as it must arrive at the API server: whose it is, and what it says besides. */
export type Arrival = {
  line: string
  as: 'ana' | 'bo'
  /** The lines behind those that the connector writes itself. */
  lines: string[]
  body: string
}

/** What comes of one message on the caller's connection. */
export type Verdict =
  | { kind: 'passed'; arrival: Arrival }
  /** The connector refuses and closes: nothing behind it is read. */
  | { kind: 'refused'; status: number }
  /** Refused in the middle of a body: of `arrival`, which is all that was good, a part may have gone. */
  | { kind: 'cut'; status: number | null; arrival: Arrival }
  /** An interim answer of the API server's. */
  | { kind: 'interim'; status: number }
  /** The connection ends without an answer. */
  | { kind: 'closed' }

export type Attack = { name: string; bytes: string; verdicts: Verdict[] }

/** Attacks of one kind, made for the tokens of two users. */
export type Family = { title: string; attacks: (ana: Sender, bo: Sender) => Attack[] }

export function attack(name: string, bytes: string, ...verdicts: (number | Verdict)[]): Attack {
  return {
    name,
    bytes,
    verdicts: verdicts.map((verdict) =>
      typeof verdict === 'number' ? { kind: 'refused', status: verdict } : verdict,
    ),
  }
}

export const closed: Verdict = { kind: 'closed' }
export const interim = (status: number): Verdict => ({ kind: 'interim', status })

/** Writes requests of one user. */
export class Sender {
  readonly as: 'ana' | 'bo'
  readonly token: string

  constructor(as: 'ana' | 'bo', token: string) {
    this.as = as
    this.token = token
  }

  request(line: string, ...lines: string[]): string {
    return head(`${line} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${this.token}`, ...lines)
  }

  post(...lines: string[]): string {
    return this.request('POST /a', ...lines)
  }

  get(...lines: string[]): string {
    return this.request('GET /a', ...lines)
  }

  /** A good request that would be seen if it were ever read as one. */
  get hidden(): string {
    return this.request('GET /hidden')
  }

  passed(line: string, lines: string[] = [], body = ''): Verdict {
    return { kind: 'passed', arrival: this.#arrival(line, lines, body) }
  }

  /** `good`: the part of the body that may have gone on; `status` null: nobody is told. */
  cut(status: number | null, line: string, lines: string[], good = ''): Verdict {
    return { kind: 'cut', status, arrival: this.#arrival(line, lines, good) }
  }

  #arrival(line: string, lines: string[], body: string): Arrival {
    return { line, as: this.as, lines, body }
  }
}

export function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** A verdict in words, for the page that lists them all. */
export function wordsOf(verdict: Verdict): string {
  if (verdict.kind === 'refused') return `refused, ${verdict.status}`
  if (verdict.kind === 'interim') return `${verdict.status}`
  if (verdict.kind === 'closed') return 'closed'
  const { line, as } = verdict.arrival
  if (verdict.kind === 'passed') return `\`${line}\` as ${as}`
  return `\`${line}\` cut off${verdict.status === null ? '' : `, ${verdict.status}`}`
}
