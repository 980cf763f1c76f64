/**
 * Where a body ends. A body is passed on as it came, but only the bytes of it that were judged:
 * what follows it on the connection is the next message, and never this one's.
 */
import type { Framing } from '../door/http1.ts'
import { Refusal } from '../status.ts'

export interface Body {
  /** Whether all of it was taken. */
  readonly done: boolean
  /** How many of `bytes`, which come next, belong to it. @throws {Refusal} when they can not. */
  take(bytes: Buffer): number
}

/** A body of a request: its trailers, which nobody here reads and others might, are refused. */
export function requestBody(framing: Framing): Body {
  return framing.kind === 'chunked' ? new ChunkedBody('refuse') : bodyOf(framing)
}

export function answerBody(framing: Framing): Body {
  return framing.kind === 'chunked' ? new ChunkedBody('take') : bodyOf(framing)
}

function bodyOf(framing: Framing): Body {
  if (framing.kind === 'until-close') return { done: false, take: (bytes) => bytes.length }
  return new CountedBody(framing.kind === 'length' ? framing.length : 0)
}

class CountedBody implements Body {
  #left: number

  constructor(length: number) {
    this.#left = length
  }

  get done(): boolean {
    return this.#left === 0
  }

  take(bytes: Buffer): number {
    const taken = Math.min(bytes.length, this.#left)
    this.#left -= taken
    return taken
  }
}

const longestTrailers = 8 * 1024
const lineFeed = 0x0a

/**
 * A trailer is a field line, and the last one blank. Others are read as folded by some; and a
 * length told afterwards (RFC 9110 section 6.5.1) ends the next answer elsewhere for some.
 */
const trailerBegun =
  /^(?:(?!(?:content-length|transfer-encoding):)[!#$%&'*+\-.^_`|~0-9A-Z]+(?::[\t -~]*\r?)?|\r)$/i
const trailerWhole =
  /^(?:(?!(?:content-length|transfer-encoding):)[!#$%&'*+\-.^_`|~0-9A-Z]+:[\t -~]*)?\r\n$/i

/**
 * The lines between the data of chunks: what each may be when it is whole, and what it may have
 * begun with when it is not. Nothing is passed on that could still turn out to be wrong.
 */
const lines = {
  size: { begun: /^[0-9A-Fa-f]{1,8}\r?$/, whole: /^[0-9A-Fa-f]{1,8}\r\n$/ },
  'data-end': { begun: /^\r$/, whole: /^\r\n$/ },
  'body-end': { begun: /^\r$/, whole: /^\r\n$/ },
  trailer: { begun: trailerBegun, whole: trailerWhole },
}

/**
 * Chunked coding (RFC 9112 section 7.1) with one reading: no extensions, no spaces, sizes of eight
 * digits at most, CR LF where it belongs.
 */
class ChunkedBody implements Body {
  done = false
  readonly #last: 'body-end' | 'trailer'
  #part: keyof typeof lines | 'data' = 'size'
  /** What is left of the data of this chunk. */
  #left = 0
  /** The line that is not yet whole. */
  #line = ''
  #trailerBytes = 0

  constructor(trailers: 'take' | 'refuse') {
    this.#last = trailers === 'take' ? 'trailer' : 'body-end'
  }

  take(bytes: Buffer): number {
    let at = 0
    while (at < bytes.length && !this.done) {
      at += this.#part === 'data' ? this.#takeData(bytes.length - at) : this.#takeLine(bytes, at)
    }
    return at
  }

  #takeData(there: number): number {
    const taken = Math.min(there, this.#left)
    this.#left -= taken
    if (this.#left === 0) this.#part = 'data-end'
    return taken
  }

  #takeLine(bytes: Buffer, at: number): number {
    const feed = bytes.indexOf(lineFeed, at)
    const end = feed < 0 ? bytes.length : feed + 1
    if (this.#part === 'trailer') this.#countTrailer(end - at)
    this.#line += bytes.toString('latin1', at, end)
    this.#judge(this.#line, feed < 0 ? 'begun' : 'whole')
    if (feed >= 0) this.#line = ''
    return end - at
  }

  #judge(line: string, state: 'begun' | 'whole'): void {
    const part = this.#part
    if (part === 'data') return
    if (!lines[part][state].test(line)) throw malformed(wrong[part])
    if (state === 'begun') return
    if (part === 'size') this.#begin(Number.parseInt(line, 16))
    else if (part === 'data-end') this.#part = 'size'
    else if (line === '\r\n') this.done = true
  }

  #begin(size: number): void {
    this.#left = size
    this.#part = size === 0 ? this.#last : 'data'
  }

  #countTrailer(bytes: number): void {
    this.#trailerBytes += bytes
    if (this.#trailerBytes > longestTrailers) throw malformed('its trailers are too long')
  }
}

const wrong = {
  size: 'the size of a chunk can not be read',
  'data-end': 'a chunk does not end where it should',
  'body-end': 'trailers are not taken',
  trailer: 'a trailer can not be read',
}

function malformed(why: string): Refusal {
  return new Refusal(400, `the chunked body is malformed: ${why}`)
}
