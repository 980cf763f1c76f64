/**
 * A TCP proxy between a connector and its server: it can swallow what passes without closing, or
 * refuse connections.
 */
import { connect, createServer, type Socket } from 'node:net'

export type SwallowingProxy = {
  port: number
  /** From now on nothing that either side sends arrives, and nobody is told. */
  swallow(): void
  /** From now on every connection is closed, and every new one as well. */
  cut(): void
  /** What is sent from now on arrives again; connections that lost bytes are closed. */
  pass(): void
  close(): void
}

export async function startProxy(targetPort: number): Promise<SwallowingProxy> {
  let isSwallowing = false
  let isCut = false
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
      from.on('data', (bytes) => {
        if (!isSwallowing) to.write(bytes)
      })
      // An end is bytes too: while packets are swallowed, nobody learns of it.
      from.on('close', () => {
        pairs.delete(from)
        if (!isSwallowing) to.destroy()
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
    pass: () => {
      isSwallowing = false
      isCut = false
      closeAll()
    },
    close: () => {
      closeAll()
      server.close()
    },
  }
}
