/**
 * From a caller to the API server and back: reads one request after the other from a connection,
 * lets the door judge each, holds it as a stream, and carries it on in a head written anew.
 *
 * Of what a caller sends, only the bytes of a body go on as they came. Whatever is refused gets a
 * sentence, and its connection ends: nothing behind it is read as a request.
 */
import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HeldAccess } from '../access.ts'
import { admittedBy, type Admitted, type Door } from '../door/door.ts'
import { carry, type Outcome } from './exchange.ts'
import { readRequest, refuseEarly, type Head } from '../door/http1.ts'
import { Held } from './held.ts'
import { identityLines } from '../door/impersonate.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { type Place, Places } from './places.ts'
import { type Ended, leftBy, Records, type StreamLog } from './records.ts'
import { refuseExpectations, requestLines, upgradeOf, type OwnLines } from './rewrite.ts'
import { headInHand, readHead } from './heads.ts'
import { Patience } from './patience.ts'
import { Gone, Side } from './side.ts'
import { Refusal, Refusals, statusAnswer, type Log } from '../status.ts'
import { isCovered, type Streams } from '../streams.ts'
import { type Dial, hostOf, UpstreamPool, type UpstreamTarget } from './upstream.ts'

export type Peer = { address: string; place: Place }
/** The caller's address as it is told to others; null: not known. */
type Address = string | null

export type ProxyParts = {
  door: Door
  streams: Streams
  access: HeldAccess
  /** Where the API server is now; asked at each request. */
  upstream: () => UpstreamTarget
  /** How it is reached; without it by TLS. */
  dial?: Dial
  log: Log
  /** Which streams the log tells of. */
  streamLog?: StreamLog
  limits?: Partial<Limits>
  /** Called before bytes pass on a stream: what is due to be severed by now is. */
  beforeBytes: () => void
}

/** A caller's connection: its place, and its address as it is told to others. */
type Connection = {
  caller: Side
  place: Place
  address: Address
  /** The last that was let in: the next is likely to say the same. */
  last: Head | null
}

/** A longer head is not kept in memory for the next one's sake. */
const maxLastBytes = 8 * 1024

export class Proxy {
  readonly refusals: Refusals
  readonly records: Records
  readonly places: Places
  readonly limits: Limits
  /** What is waited for, and how long: the first request or the rest of a head, another, an answer. */
  readonly waits: Record<'head' | 'request' | 'answer', Patience>
  readonly #parts: ProxyParts
  readonly #pool: UpstreamPool

  constructor(parts: ProxyParts) {
    this.#parts = parts
    this.limits = { ...defaultLimits, ...parts.limits }
    const { headMs, idleMs, answerMs } = this.limits
    this.waits = {
      head: new Patience(headMs),
      request: new Patience(idleMs),
      answer: new Patience(answerMs),
    }
    this.places = new Places(this.limits, parts.log)
    this.#pool = new UpstreamPool(parts.upstream, this.limits.dialMs, parts.dial)
    this.refusals = new Refusals(parts.log)
    this.records = new Records(parts.log, parts.streamLog ?? 'long')
  }

  /** Serves a caller's connection until it ends. Never rejects. */
  async serve(socket: Duplex, peer: Peer): Promise<void> {
    const caller = new Side(socket)
    const connection = { ...peer, caller, address: addressOf(peer.address), last: null }
    let patience = this.waits.head
    while (await this.#serveNext(connection, patience)) patience = this.waits.request
    caller.destroy()
  }

  /** Closes what is kept open for later. Streams are the business of `Streams`. */
  close(): void {
    this.#pool.close()
  }

  async #serveNext(connection: Connection, patience: Patience): Promise<boolean> {
    const { caller, address } = connection
    let method: string | null = null
    try {
      const text = await this.#awaitHead(connection, patience)
      if (text === null) return false
      const head = readRequest(text, connection.last)
      method = head.method
      const { callerStays } = await this.#admit(head, connection)
      if (!callerStays) await caller.bidFarewell()
      return callerStays
    } catch (error) {
      await this.#answer(asRefusal(error), caller, address, method)
      return false
    }
  }

  /** A head that does not come in time ends its connection: it holds memory of ours. */
  async #awaitHead({ caller, place }: Connection, patience: Patience): Promise<string | null> {
    const first = await patience.during(caller.read(), () => place.late(false))
    if (first === null) return null
    caller.unread(first)
    const { headBytes } = this.limits
    const inHand = headInHand(caller)
    if (inHand !== null) {
      refuseLong(inHand, headBytes)
      return inHand
    }
    const whole = readHead(caller, (bytes, seen) => {
      refuseLong(bytes, headBytes)
      refuseEarly(bytes, seen)
    })
    const text = await this.waits.head.during(whole, () => place.late(true))
    if (text !== null) refuseLong(text, headBytes)
    return text
  }

  async #admit(head: Head, connection: Connection): Promise<Outcome> {
    const { caller, place, address } = connection
    const admitted = await this.#parts.door.admit(head)
    connection.last = head.lines.length <= maxLastBytes ? head : null
    // All that can fail by what was sent fails before anybody is dialled.
    refuseExpectations(head)
    const upgrade = upgradeOf(head)
    const identity = identityLines(admitted)
    const id = randomUUID()
    const { streams, beforeBytes } = this.#parts
    const most = this.limits.streamsPerUser
    const held = new Held({ caller, place, admitted, streams, most, beforeBytes })
    const close = this.records.open({ id, head, upgrade, admitted, address })
    const ended: Pick<Ended, 'error' | 'leftBy'> = { error: null, leftBy: null }
    try {
      this.#judgeAgain(admitted)
      const lines = requestLines(head, this.#ownLines(identity, address, id), upgrade)
      const upstream = await held.connect(this.#pool)
      const patience = this.waits.answer
      const exchange = { caller, upstream: upstream.side, head, lines, upgrade, patience }
      const outcome = await carry(exchange)
      if (outcome.upstreamStays) held.giveBack(this.#pool)
      // Until all of it is on its way to the caller, it is a stream: counted, and severed, as one.
      if (caller.hasUnsent) await caller.flushed()
      ended.leftBy = outcome.leftBy ?? null
      return outcome
    } catch (error) {
      Object.assign(ended, { error, leftBy: leftBy(error, caller.isOver) })
      throw error
    } finally {
      const { severed, carried } = held
      held.release()
      close({ ...ended, severed, carried })
    }
  }

  /**
   * Whoever lost access between the door and being held was on no list when streams were severed,
   * and would be missed. From here on they are on it.
   */
  #judgeAgain(admitted: Admitted): void {
    const { userId, sessionId, groups } = admitted
    const now = admittedBy(this.#parts.access, userId, sessionId)
    // The very value that it was let in by, and not one like it: nothing changed.
    if (now === admitted) return
    if (isCovered({ groups }, new Set(now.groups))) return
    throw new Refusal(403, 'what you were granted changed in this very moment, try again')
  }

  #ownLines(identity: string, address: Address, auditId: string): OwnLines {
    const target = this.#pool.target
    const credential = target.credential()
    // Without either the API server would take the request for anonymous, and not for ours.
    const isUsable = credential === null ? target.tls.cert !== undefined : visible.test(credential)
    if (!isUsable) throw new Refusal(502, 'the connector has no credential for this cluster')
    return {
      host: hostOf(target),
      credential,
      identity,
      auditId,
      address,
    }
  }

  async #answer(refusal: Refusal | null, caller: Side, address: Address, method: string | null) {
    if (refusal === null || caller.isOver) return caller.destroy()
    this.refusals.note(refusal, address)
    const written = caller.write(Buffer.from(statusAnswer(refusal, method)))
    await Promise.all([written?.catch(() => {}), caller.bidFarewell()])
  }
}

const visible = /^[!-~]+$/

/** As the API server's audit log is to show it: an IPv4 address as such. */
function addressOf(address: string): Address {
  const plain = address.replace(/^::ffff:(?=[0-9.]+$)/, '')
  return isIP(plain) ? plain : null
}

function refuseLong({ length }: { length: number }, most: number): void {
  if (length > most) throw new Refusal(431, `a head may have ${most} bytes at most`)
}

/** null: the connection broke, and there is nobody to tell. Anything unforeseen is a bug. */
function asRefusal(error: unknown): Refusal | null {
  if (error instanceof Refusal) return error
  if (error instanceof Gone) return null
  return new Refusal(500, 'the connector failed, its log says how', { cause: error })
}
