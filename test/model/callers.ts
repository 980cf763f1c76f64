/**
 * Those who come in: for each credential and each connector somebody who holds a stream open, and
 * knocks again whenever it is gone, with the newest token that was to be had. Plain TLS, so that the
 * instant of every line and of the end is known.
 */
import { setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import type { History, Of } from './history.ts'
import type { Random } from './random.ts'
import { type Arrived, readLines } from './upstream.ts'

export type Credential = { id: string; userId: string; email: string; text: string }
/** Where a caller goes; `destination` changes when it is made anew. */
export type Door = { connector: string; port: number; ca: string; destination: string }

export type CallersParts = {
  history: History
  random: Random
  /** A new token, or a word why not. */
  token: (credential: Credential, destination: string) => Promise<{ token: string } | string>
}

type Sent = { sentAt: number; sender: { user: string; session: string }; door: Door }
type Answer = { status: number | null; id: string }

const tellEveryMs = 400
const answerMs = 8_000
/** Some go soon and come again: whoever is let in just when something ends is to be met, too. */
const briefShare = 0.4
const briefMs = 1_500
/** After this long, a token is had anew. */
const freshMs = 4_000

export class Callers {
  readonly counts = { streams: 0, bytes: 0, admitted: 0, refused: 0, unanswered: 0, cuts: 0 }
  readonly #parts: CallersParts
  readonly #sent = new Map<string, Sent>()
  readonly #tokens = new Map<string, { token: string; at: number }>()
  readonly #open = new Map<string, tls.TLSSocket>()
  readonly #streams = new Map<string, Of<'stream'>>()
  readonly #loops = new Map<string, AbortController>()
  readonly #running = new Set<Promise<void>>()
  #serial = 0
  #isEager = true

  constructor(parts: CallersParts) {
    this.#parts = parts
  }

  /** Whoever is refused knocks again soon, or waits to be told to. */
  eager(isEager: boolean): void {
    this.#isEager = isEager
  }

  /** Those that somebody holds open now. */
  get open(): Of<'stream'>[] {
    return [...this.#streams.values()]
  }

  /** Comes in with this credential at this door, again and again, until `leave`. */
  come(credential: Credential, door: Door): void {
    const key = `${credential.id} ${door.connector}`
    if (this.#loops.has(key)) return
    const leaving = new AbortController()
    this.#loops.set(key, leaving)
    const running = this.#loop(credential, door, leaving.signal).finally(() => {
      this.#running.delete(running)
    })
    this.#running.add(running)
  }

  /** Whoever comes with this credential, or to this door, comes no more; what is open stays. */
  leave(which: string): void {
    for (const [key, leaving] of this.#loops) {
      if (!key.split(' ').includes(which)) continue
      leaving.abort()
      this.#loops.delete(key)
    }
  }

  async end(): Promise<void> {
    for (const leaving of this.#loops.values()) leaving.abort()
    this.#loops.clear()
    for (const socket of this.#open.values()) socket.destroy()
    await Promise.all(this.#running)
  }

  /** What the API server saw of a request. */
  arrived(request: Arrived): void {
    const sent = this.#sent.get(request.id)
    if (!sent) return
    const { sentAt, sender, door } = sent
    const { connector, destination } = door
    const where = { connector, destination }
    const stream: Of<'stream'> = { kind: 'stream', ...request, sentAt, ...where, sender }
    this.#parts.history.add(stream)
    this.#streams.set(request.id, stream)
    this.counts.admitted += 1
  }

  /** One knock, with a token that was just had where there is one. */
  async knock(credential: Credential, door: Door): Promise<{ isIn: boolean; told: string }> {
    const had = await this.#tokenFor(credential, door.destination, 0)
    if ('why' in had && !had.token) return { isIn: false, told: had.why }
    const { status } = await this.#ask(credential, door, had.token ?? '', 'once')
    return { isIn: status === 200, told: `${status}${'why' in had ? ` (${had.why})` : ''}` }
  }

  async #loop(credential: Credential, door: Door, signal: AbortSignal): Promise<void> {
    const random = this.#parts.random.branch()
    while (!signal.aborted) {
      const had = await this.#tokenFor(credential, door.destination, freshMs)
      const answer = had.token
        ? await this.#ask(
            credential,
            door,
            had.token,
            random.isLucky(briefShare) ? 'brief' : 'stay',
          )
        : { status: null }
      const isOut = answer.status !== 200
      const waitMs = isOut ? random.between(1_000, this.#isEager ? 4_000 : 8_000) : 50
      await pause(waitMs, undefined, { signal }).catch(() => {})
    }
  }

  /** An old token is better than none: whether it still opens anything is the question here. */
  async #tokenFor(credential: Credential, destination: string, freshForMs: number) {
    const key = `${credential.id} ${destination}`
    const known = this.#tokens.get(key)
    if (known && performance.now() - known.at < freshForMs) return { token: known.token }
    const at = performance.now()
    const given = await this.#parts.token(credential, destination)
    if (typeof given === 'string') return { token: known?.token ?? null, why: given }
    this.#tokens.set(key, { token: given.token, at })
    return { token: given.token }
  }

  #ask(
    credential: Credential,
    door: Door,
    token: string,
    how: 'once' | 'brief' | 'stay',
  ): Promise<Answer> {
    const id = `${++this.#serial}`
    const { history } = this.#parts
    const { ca, port, connector } = door
    const sentAt = performance.now()
    const sender = { user: credential.userId, session: credential.id }
    this.#sent.set(id, { sentAt, sender, door })
    return new Promise((resolve) => {
      const socket = tls.connect({ host: '127.0.0.1', port, ca })
      const reader = new Reader(history, id)
      let status: number | null = null
      let isMine = false
      const giveUp = () => {
        isMine = true
        socket.destroy()
      }
      const patience = setTimeout(giveUp, answerMs)
      socket.on('error', () => {})
      socket.on('secureConnect', () => socket.write(requestOf(id, token)))
      socket.on('data', (bytes: Buffer) => {
        reader.read(bytes)
        this.counts.bytes += bytes.length
        if (status !== null || reader.status === null) return
        status = reader.status
        clearTimeout(patience)
        if (status === 200) this.#open.set(id, socket)
        if (status === 200) this.counts.streams += 1
        if (how === 'once' || status !== 200) giveUp()
        else if (how === 'brief') setTimeout(giveUp, briefMs)
      })
      socket.on('close', () => {
        clearTimeout(patience)
        reader.tell()
        this.#open.delete(id)
        this.#sent.delete(id)
        // It may have come to the API server, and its answer not here.
        const hasArrived = this.#streams.delete(id)
        const at = performance.now()
        if (status === 200 || hasArrived) {
          history.add({ kind: 'closed', at, stream: id, by: isMine ? 'caller' : 'connector' })
          if (!isMine) this.counts.cuts += 1
        } else {
          history.add({ kind: 'refused', at, sentAt, connector, status })
          this.counts[status === null ? 'unanswered' : 'refused'] += 1
        }
        resolve({ status, id })
      })
    })
  }
}

/** Reads an answer's status, and when its lines were written. */
class Reader {
  status: number | null = null
  readonly #history: History
  readonly #stream: string
  #rest = ''
  #first = 0
  #last = 0
  #lines = 0
  #toldAt = 0

  constructor(history: History, stream: string) {
    this.#history = history
    this.#stream = stream
  }

  read(bytes: Buffer): void {
    const { written, rest } = readLines(this.#rest + bytes.toString('latin1'))
    const head = /^HTTP\/1\.1 ([0-9]{3})/.exec(this.#rest + bytes.toString('latin1'))
    if (this.status === null && head) this.status = Number(head[1])
    this.#rest = rest
    const [first] = written
    if (first === undefined) return
    if (this.#lines === 0) this.#first = first
    this.#last = written.at(-1) ?? first
    this.#lines += written.length
    if (performance.now() - this.#toldAt >= tellEveryMs) this.tell()
  }

  tell(): void {
    if (this.#lines === 0) return
    this.#toldAt = performance.now()
    const [first, last, lines] = [this.#first, this.#last, this.#lines]
    this.#history.add({ kind: 'bytes', at: this.#toldAt, stream: this.#stream, first, last, lines })
    this.#lines = 0
  }
}

function requestOf(id: string, token: string): string {
  const lines = [
    `GET /api/v1/pods?watch=1&stream=${id} HTTP/1.1`,
    'Host: 127.0.0.1',
    `Authorization: Bearer ${token}`,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}
