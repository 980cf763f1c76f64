/** The far end of `infra events --follow`: a WebSocket server (RFC 6455) that can only say things. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { fieldOf } from '../disk/unknown.ts'

type Test = { after(work: () => unknown): void }
export type Visitor = {
  path: string
  authorization: string
  say: (text: string) => void
  drop: () => void
}

const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Listens; a visitor is refused with the status that `refuses` gives, else handed to `meet`. */
export async function fakeSocket(
  t: Test,
  refuses: () => number | null,
  meet: (visitor: Visitor) => void,
): Promise<string> {
  const server = createServer()
  const open = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    open.add(socket)
    socket.on('error', () => socket.destroy())
    socket.resume()
    const status = refuses()
    if (status !== null) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
      return
    }
    socket.write(switching(request.headers['sec-websocket-key'] ?? ''))
    meet({
      path: request.url ?? '',
      authorization: request.headers.authorization ?? '',
      say: (text) => socket.write(frame(text)),
      drop: () => socket.destroy(),
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${String(fieldOf(server.address(), 'port'))}`
}

function switching(key: string): string {
  const accept = createHash('sha1')
    .update(key + magic)
    .digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

/** A text frame of at most 65535 bytes, unmasked, as a server sends it. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  const length =
    payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([0x81, ...length]), payload])
}
