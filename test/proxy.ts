/**
 * A TCP proxy between two of our processes: it can swallow what passes without closing, in one
 * direction or in both, let it trickle, or refuse connections.
 */
import { connect, createServer, type Socket } from 'node:net'

/** Whom what is swallowed was meant for: who dialled (`near`), who was dialled (`far`), or both. */
export type Towards = 'near' | 'far' | 'both'

export type SwallowingProxy = {
  port: number
  /** From now on nothing that is sent that way arrives, and nobody is told; new connections too. */
  swallow(towards?: Towards): void
  /** The same of the connections that are open now, and of no other. */
  swallowOpen(towards: Towards): void
  /** What is sent from now on arrives so much later, in pieces of at most so many bytes. */
  slow(delayMs: number, pieceBytes?: number): void
  /** From now on every connection is closed, and every new one as well. */
  cut(): void
  /** What is sent from now on arrives again, at once; connections that lost bytes are closed. */
  pass(): void
  close(): void
}

type Way = { from: Socket; to: Socket; towards: Towards; isSwallowed: boolean }

/** How far apart the pieces of one delayed chunk arrive. */
const betweenPiecesMs = 5

export async function startProxy(targetPort: number): Promise<SwallowingProxy> {
  let swallowed: Towards | null = null
  let slowness: { delayMs: number; pieceBytes: number } | null = null
  let isCut = false
  const ways = new Set<Way>()
  const isLost = ({ towards, isSwallowed }: Way) =>
    isSwallowed || swallowed === 'both' || swallowed === towards
  const server = createServer((near) => {
    near.on('error', () => {})
    if (isCut) return near.destroy()
    const far = connect(targetPort, '127.0.0.1')
    for (const [from, to, towards] of [
      [near, far, 'far'],
      [far, near, 'near'],
    ] as const) {
      const way: Way = { from, to, towards, isSwallowed: false }
      const later = new Later()
      ways.add(way)
      from.on('data', (bytes: Buffer) => {
        if (isLost(way)) return
        if (slowness) later.pieces(bytes, slowness, (piece) => to.write(piece))
        else later.after((): void => void to.write(bytes))
      })
      // An end is bytes too: while packets are swallowed, nobody learns of it.
      from.on('close', () => {
        ways.delete(way)
        if (!isLost(way)) later.after(() => to.destroy())
      })
      from.on('error', () => {})
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const closeAll = () => {
    for (const { from, to } of ways) {
      from.destroy()
      to.destroy()
    }
  }
  return {
    port: address.port,
    swallow: (towards = 'both') => {
      swallowed = towards
    },
    swallowOpen: (towards) => {
      for (const way of ways) {
        way.isSwallowed ||= towards === 'both' || towards === way.towards
      }
    },
    slow: (delayMs, pieceBytes = Infinity) => {
      slowness = { delayMs, pieceBytes }
    },
    cut: () => {
      isCut = true
      closeAll()
    },
    pass: () => {
      swallowed = null
      slowness = null
      isCut = false
      closeAll()
    },
    close: () => {
      closeAll()
      server.close()
    },
  }
}

/** What one direction still has to deliver, in order. */
class Later {
  /** When the last of what waits is due, by `performance.now()`. */
  #dueAt = 0
  #waiting = 0

  pieces(
    bytes: Buffer,
    { delayMs, pieceBytes }: { delayMs: number; pieceBytes: number },
    deliver: (piece: Buffer) => void,
  ): void {
    const size = Math.min(bytes.length, pieceBytes)
    let dueAt = performance.now() + delayMs
    for (let at = 0; at < bytes.length; at += size) {
      const piece = bytes.subarray(at, at + size)
      this.#at(dueAt, () => deliver(piece))
      dueAt = this.#dueAt + betweenPiecesMs
    }
  }

  /** Behind all that waits; at once where nothing does. */
  after(act: () => void): void {
    if (this.#waiting === 0) act()
    else this.#at(this.#dueAt, act)
  }

  #at(dueAt: number, act: () => void): void {
    // Timers of the same length fire in the order in which they were set; a millisecond apart, any.
    this.#dueAt = Math.max(this.#dueAt + 1, dueAt)
    this.#waiting += 1
    const timer = setTimeout(() => {
      this.#waiting -= 1
      act()
    }, this.#dueAt - performance.now())
    timer.unref()
  }
}
