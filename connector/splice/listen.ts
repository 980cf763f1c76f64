/** The TLS server at the door. Who somebody is, their token says: no client certificates. */
import type { Socket } from 'node:net'
import { createServer } from 'node:tls'
import type { Proxy } from './proxy.ts'

export type Serving = { cert: string; key: string }

export type Listening = {
  port: number
  /** New connections get it at once; those that are open go on with the old one. */
  setCertificate(serving: Serving): void
  /** Accepts nothing more, and closes what is open. */
  close(): Promise<void>
}

/** Handshakes cost the most of all that a stranger can ask for: they are few and short. */
const handshakeMs = 10_000
const maxConnections = 10_000
const keepAliveMs = 30_000

export type Listen = {
  host: string
  port: number
  tls: Serving
  proxy: Proxy
  maxConnections?: number
}

export async function listen(options: Listen): Promise<Listening> {
  const { proxy, host, port, tls } = options
  const open = new Set<Socket>()
  const server = createServer({
    ...secure(tls),
    // Nothing but HTTP/1.1 is read here: whoever offers only `h2` is refused in the handshake.
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: handshakeMs,
    allowHalfOpen: true,
  })
  server.maxConnections = options.maxConnections ?? maxConnections
  // Also those that are still shaking hands.
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.on('secureConnection', (socket) => {
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveMs)
    void proxy.serve(socket, { address: socket.remoteAddress ?? '' })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 4096 }, resolve)
  })
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound ? bound.port : port,
    setCertificate: (serving) => server.setSecureContext(secure(serving)),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

function secure({ cert, key }: Serving) {
  return { cert, key, minVersion: 'TLSv1.2' } as const
}
