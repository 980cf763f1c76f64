/**
 * Listens, on Bun or on Node: besides `wire/dial.ts` and `db/`, the one file that tells them apart.
 * WebSockets are pinged on both, so that an end which vanished without a word is noticed.
 */
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Peer, Socket, SocketEnd } from './sockets.ts'
import { log } from './wire/log.ts'

export type App = { fetch(request: Request, peer: Peer): Response | Promise<Response> }
export type Serving = { port: number; close(): Promise<void> }
type Options = {
  host: string
  port: number
  /** PEM; null: plain HTTP. */
  tls: { cert: string; key: string } | null
  app: App
}
type Begin = (socket: Socket) => SocketEnd

/** What comes in on a WebSocket is small: hello, pings and acknowledgements. */
const maxMessageBytes = 64 * 1024
const silenceSeconds = 60
const unsupported = 1003

/**
 * How long Node waits for a head and for a whole request, where Bun waits 12 and 120 seconds: a
 * caller who sends slowly holds a connection, and no more than that.
 */
const patience = {
  headersTimeout: 12_000,
  requestTimeout: 120_000,
  connectionsCheckingInterval: 3000,
}

export function serve(options: Options): Promise<Serving> {
  return 'Bun' in globalThis ? serveOnBun(options) : serveOnNode(options)
}

/** Of Bun's API, what is used here: its types would replace those of Node everywhere. */
type BunSocket = {
  data: { begin: Begin; end: SocketEnd | null }
  send(text: string): void
  close(code: number, reason: string): void
  getBufferedAmount(): number
}
type BunServer = {
  port: number
  requestIP(request: Request): { address: string } | null
  upgrade(request: Request, options: { data: BunSocket['data'] }): boolean
  stop(closeConnections: boolean): Promise<void>
}
declare const Bun: { serve(options: object): BunServer }

async function serveOnBun({ host, port, tls, app }: Options): Promise<Serving> {
  const server = Bun.serve({
    ...{ hostname: host, port, ...(tls ? { tls } : {}), development: false },
    // Outside of development Bun shares the port with whoever else asks for it: another process
    // would silently get half of the connections.
    reusePort: false,
    // Seconds: whoever waits for a receipt is silent for up to a minute.
    idleTimeout: 120,
    fetch: (request: Request, own: BunServer) => {
      // Without a host, or with one that is none, the URL is a path: another part of it would be
      // read as the path than a proxy before us had read.
      if (!/^https?:\/\//.test(request.url)) return new Response(null, { status: 400 })
      return app.fetch(request, {
        address: own.requestIP(request)?.address ?? 'unknown',
        upgrade: asksForWebSocket(request.headers.get('upgrade'))
          ? (begin) => upgradeOnBun(own, request, begin)
          : null,
      })
    },
    websocket: {
      ...{ maxPayloadLength: maxMessageBytes, perMessageDeflate: false, sendPings: true },
      ...{ idleTimeout: silenceSeconds },
      open: (ws: BunSocket) => {
        ws.data.end = ws.data.begin({
          send: (text) => ws.send(text),
          close: (code, reason) => ws.close(code, reason),
          backlog: () => ws.getBufferedAmount(),
        })
      },
      message: (ws: BunSocket, message: unknown) => {
        if (typeof message === 'string') ws.data.end?.message(message)
        else ws.close(unsupported, 'text only')
      },
      close: (ws: BunSocket, code: number) => ws.data.end?.closed(code),
    },
  })
  return { port: server.port, close: () => server.stop(true) }
}

function upgradeOnBun(server: BunServer, request: Request, begin: Begin): Response {
  const isUpgraded = server.upgrade(request, { data: { begin, end: null } })
  return new Response(null, { status: isUpgraded ? 200 : 400 })
}

async function serveOnNode({ host, port, tls, app }: Options): Promise<Serving> {
  const { getRequestListener } = await import('@hono/node-server')
  const { WebSocketServer } = await import('ws')
  const listener = getRequestListener(
    (request, { incoming }) => app.fetch(request, { address: addressOf(incoming), upgrade: null }),
    { overrideGlobalObjects: false },
  )
  const onRequest = (...both: Parameters<typeof listener>): void => void listener(...both)
  const server = tls
    ? createTlsServer({ ...tls, ...patience }, onRequest)
    : createServer(patience, onRequest)
  const sockets = new WebSocketServer({
    ...{ noServer: true, perMessageDeflate: false, maxPayload: maxMessageBytes },
  })
  server.on('upgrade', (incoming, socket, head) => {
    socket.on('error', () => socket.destroy())
    void upgradeOnNode(app, sockets, { incoming, socket, head })
  })
  const pinging = pingAll(sockets.clients)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // Of a thousand connectors that come back at once, none waits for a retransmitted SYN.
    server.listen({ host, port, backlog: 4096 }, resolve)
  })
  const close = async (): Promise<void> => {
    clearInterval(pinging)
    for (const ws of sockets.clients) ws.terminate()
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }
  return { port: (server.address() as AddressInfo).port, close }
}

type Asked = { incoming: IncomingMessage; socket: Duplex; head: Buffer }

async function upgradeOnNode(app: App, sockets: Sockets, asked: Asked): Promise<void> {
  const { incoming, socket, head } = asked
  try {
    const { begin, response } = await beginOf(app, incoming)
    if (begin) sockets.handleUpgrade(incoming, socket, head, (ws) => joinOnNode(ws, begin))
    else await writeRefusal(socket, response)
  } catch (error) {
    log('error', 'a WebSocket was not opened', { error })
    socket.destroy()
  }
}

/** Asks the app as for any request; it may begin a WebSocket, or refuse with a response. */
async function beginOf(
  app: App,
  incoming: IncomingMessage,
): Promise<{ begin: Begin | null; response: Response }> {
  let begin: Begin | null = null
  const upgrade = (asked: Begin): Response => {
    begin = asked
    return new Response(null)
  }
  const isWebSocket = asksForWebSocket(incoming.headers.upgrade) && incoming.method === 'GET'
  const path = incoming.url ?? '/'
  if (!isWebSocket || !path.startsWith('/')) {
    return { begin, response: new Response(null, { status: 400 }) }
  }
  const request = new Request(`http://localhost${path}`, { headers: headersOf(incoming) })
  const response = await app.fetch(request, { address: addressOf(incoming), upgrade })
  return { begin, response }
}

/** As they came: of two Authorization headers Node would show the first alone. */
function headersOf({ rawHeaders }: IncomingMessage): [string, string][] {
  return rawHeaders.flatMap((name, at): [string, string][] => {
    return at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : []
  })
}

async function writeRefusal(socket: Duplex, response: Response): Promise<void> {
  const body = await response.text()
  const head = [
    `HTTP/1.1 ${response.status} Refused`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...[...response.headers].map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

type NodeSocket = import('ws').WebSocket
type Sockets = import('ws').WebSocketServer

function joinOnNode(ws: NodeSocket, begin: Begin): void {
  const end = begin({
    send: (text) => ws.send(text, () => {}),
    close: (code, reason) => ws.close(code, reason),
    backlog: () => ws.bufferedAmount,
  })
  ws.on('message', (bytes: Buffer, isBinary) => {
    if (isBinary) ws.close(unsupported, 'text only')
    else end.message(bytes.toString('utf8'))
  })
  // An error closes the socket, and closing is what is acted on.
  ws.on('error', () => {})
  ws.on('close', (code: number) => end.closed(code))
}

/** Whoever did not answer the last ping is gone. */
function pingAll(clients: Set<NodeSocket>): NodeJS.Timeout {
  const asked = new WeakSet<NodeSocket>()
  const pinging = setInterval(
    () => {
      for (const ws of clients) {
        if (asked.has(ws)) ws.terminate()
        else {
          asked.add(ws)
          ws.once('pong', () => asked.delete(ws))
          ws.ping(() => {})
        }
      }
    },
    (silenceSeconds / 2) * 1000,
  )
  pinging.unref()
  return pinging
}

function asksForWebSocket(upgrade: string | null | undefined): boolean {
  return upgrade?.toLowerCase() === 'websocket'
}

function addressOf(incoming: unknown): string {
  return (incoming as IncomingMessage).socket.remoteAddress ?? 'unknown'
}
