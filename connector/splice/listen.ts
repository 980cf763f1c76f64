/** The TLS server at the door. Who somebody is, their token says: no client certificates. */
import type { Socket } from 'node:net'
import { createServer } from 'node:tls'
import type { Place } from './places.ts'
import type { Proxy } from './proxy.ts'

export type Serving = { cert: string; key: string }

export type Listening = {
  port: number
  /** New connections get it at once; those that are open go on with the old one. */
  setCertificate(serving: Serving): void
  /** Accepts nothing more, and closes what is open. */
  close(): Promise<void>
}

const keepAliveMs = 30_000

export type Listen = {
  host: string
  port: number
  tls: Serving
  proxy: Proxy
}

export async function listen(options: Listen): Promise<Listening> {
  const { proxy, host, port, tls } = options
  const open = new Map<string, { socket: Socket; place: Place; handshake: Timer }>()
  const server = createServer({
    ...secure(tls),
    // Nothing but HTTP/1.1 is read here: whoever offers only `h2` is refused in the handshake.
    ALPNProtocols: ['http/1.1'],
    allowHalfOpen: true,
  })
  // A handshake costs the most of all that a stranger can ask for, so it has a place and a deadline
  // from its first packet on. `handshakeTimeout` is none: it reports, and closes nothing; and
  // who leaves in the middle, as a balancer's probe does, is on Node not heard to leave.
  server.on('connection', (socket: Socket) => {
    const { remoteAddress: address } = socket
    const place = address && proxy.places.take(address, () => socket.destroy())
    if (!place) return void socket.destroy()
    const ends = endsOf(socket)
    const handshake = setTimeout(() => place.late(true), proxy.limits.headMs)
    open.set(ends, { socket, place, handshake })
    socket.once('close', () => {
      open.delete(ends)
      clearTimeout(handshake)
      place.leave()
    })
  })
  server.on('secureConnection', (socket) => {
    const arrived = open.get(endsOf(socket))
    if (!arrived) return void socket.destroy()
    clearTimeout(arrived.handshake)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveMs)
    void proxy.serve(socket, { address: arrived.place.address, place: arrived.place })
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
      for (const { socket } of open.values()) socket.destroy()
      await closed
    },
  }
}

type Timer = ReturnType<typeof setTimeout>

/** The same connection is one socket before its handshake and may be another after it. */
function endsOf({ localAddress, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${remoteAddress} ${remotePort}`
}

function secure({ cert, key }: Serving) {
  return { cert, key, minVersion: 'TLSv1.2' } as const
}
