/**
 * A TCP proxy between a connector and its server: it can swallow what passes without closing, hold
 * it up, or refuse connections.
 */
import { connect, createServer, type Socket } from 'node:net'

export type SwallowingProxy = {
  port: number
  /** From now on nothing that either side sends arrives, and nobody is told. */
  swallow(): void
  /** From now on every connection is closed, and every new one as well. */
  cut(): void
  /** From now on all that is sent arrives as much later, in its order. */
  slow(byMs: number): void
  /** What is sent from now on arrives again, and at once; connections that lost bytes are closed. */
  pass(): void
  close(): void
}

export async function startProxy(targetPort: number): Promise<SwallowingProxy> {
  let isSwallowing = false
  let isCut = false
  let lateMs = 0
  const pairs = new Set<Socket>()
  const server = createServer((near) => {
    near.on('error', () => {})
    if (isCut) return near.destroy()
    const far = connect(targetPort, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      pairs.add(from)
      const later = inOrder()
      from.on('data', (bytes) => {
        if (!isSwallowing) later(lateMs, () => to.destroyed || to.write(bytes))
      })
      // An end is bytes too: while packets are swallowed, nobody learns of it.
      from.on('close', () => {
        pairs.delete(from)
        if (!isSwallowing) later(lateMs, () => to.destroy())
      })
      from.on('error', () => {})
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const closeAll = () => {
    for (const socket of pairs) socket.destroy()
  }
  return {
    port: address.port,
    swallow: () => {
      isSwallowing = true
    },
    cut: () => {
      isCut = true
      closeAll()
    },
    slow: (byMs) => {
      lateMs = byMs
    },
    pass: () => {
      isSwallowing = false
      isCut = false
      lateMs = 0
      closeAll()
    },
    close: () => {
      closeAll()
      server.close()
    },
  }
}

/** Does one thing after the other, each not before its time. */
function inOrder(): (waitMs: number, act: () => void) => void {
  const waiting: { at: number; act: () => void }[] = []
  const go = (): void => {
    for (let next = waiting[0]; next; next = waiting[0]) {
      const leftMs = next.at - performance.now()
      if (leftMs > 0) return void setTimeout(go, leftMs)
      waiting.shift()
      next.act()
    }
  }
  return (waitMs, act) => {
    waiting.push({ at: performance.now() + waitMs, act })
    if (waiting.length === 1) go()
  }
}
