/** A stream from the door to its end, and the two connections that end with it. */
import type { Admitted } from '../door/door.ts'
import type { Place } from './places.ts'
import { Gone, type Side } from './side.ts'
import { Refusal } from '../status.ts'
import type { Stream, Streams } from '../streams.ts'
import type { Upstream, UpstreamPool } from './upstream.ts'

export type HeldParts = {
  caller: Side
  place: Place
  admitted: Admitted
  streams: Streams
  /** How many one user may have open. */
  most: number
  /** Called before bytes pass in either direction: it may sever. */
  beforeBytes: () => void
}

export class Held {
  readonly release: () => void
  /** Why it was severed; null: it was not. */
  severed: string | null = null
  readonly #caller: Side
  readonly #userId: string
  readonly #beforeBytes: () => void
  #upstream: Upstream | null = null
  #giveUp: () => void = () => {}
  /** What the connection to the API server had carried before this stream had it. */
  #before = { taken: 0, given: 0 }
  #carried = { up: 0, down: 0 }

  /** @throws {Refusal} 429 when the user has as many open as one may have. */
  constructor({ caller, place, admitted, streams, most, beforeBytes }: HeldParts) {
    const { userId, sessionId, groups } = admitted
    if (streams.countOf(userId) >= most) {
      throw new Refusal(429, `you have ${most} requests open in this cluster, which is the most`)
    }
    this.#caller = caller
    this.#userId = userId
    this.#beforeBytes = beforeBytes
    const sever = (reason: string) => {
      this.severed = reason
      this.#destroy()
    }
    const stream: Stream = { userId, sessionId, groups, sever }
    const forget = streams.hold(stream)
    place.busy()
    // A caller who is gone wants no answer; what is left of it would be read for nobody.
    caller.onOver = () => this.#destroy()
    caller.onArrival = beforeBytes
    this.release = () => {
      forget()
      place.idle(userId)
      caller.onOver = null
      caller.onArrival = null
      this.#upstream?.side.destroy()
    }
  }

  /** Bytes to the API server and from it so far, heads and all. */
  get carried(): { up: number; down: number } {
    if (!this.#upstream) return this.#carried
    const { taken, given } = this.#upstream.side
    return { up: given - this.#before.given, down: taken - this.#before.taken }
  }

  /** Severed or left while it is dialled, a connection is not used. @throws {Gone} */
  async connect(pool: UpstreamPool): Promise<Upstream> {
    if (this.#caller.isOver) throw new Gone()
    const upstream = await pool.connect(this.#userId, (end) => {
      this.#giveUp = end
    })
    const { taken, given } = upstream.side
    upstream.side.onArrival = this.#beforeBytes
    this.#before = { taken, given }
    this.#upstream = upstream
    if (!this.#caller.isOver) return upstream
    throw new Gone()
  }

  giveBack(pool: UpstreamPool): void {
    this.#carried = this.carried
    if (this.#upstream) {
      this.#upstream.side.onArrival = null
      pool.park(this.#upstream)
    }
    this.#upstream = null
  }

  #destroy(): void {
    this.#caller.destroy()
    this.#upstream?.side.destroy()
    this.#giveUp()
  }
}
