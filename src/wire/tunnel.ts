/**
 * A connection through a proxy: `CONNECT` (RFC 9110 section 9.3.6), then our own TLS to the far
 * end, which the proxy carries and cannot read. By hand over sockets, because it is the one way
 * that is the same on Bun and on Node.
 */
import { connect, isIP, type Socket } from 'node:net'
import tls from 'node:tls'
import { formatAddress } from './address.ts'

/** `tls`: null for a plain connection; else what `tls.connect` takes beside the socket. */
export type FarEnd = { host: string; port: number; tls: tls.ConnectionOptions | null }

const timeoutMs = 10_000
const maxHead = 16 * 1024
const keepAliveMs = 30_000

/** Opens it; `giveUp` is handed what ends the attempt, should nobody want it any more. */
export async function throughProxy(
  proxy: URL,
  to: FarEnd,
  giveUp: (end: () => void) => void = () => {},
): Promise<Socket> {
  const socket = near(proxy)
  // Without it a proxy that accepts and says nothing would be waited for without end.
  const timer = setTimeout(() => socket.destroy(new Error('the proxy is silent')), timeoutMs)
  giveUp(() => socket.destroy(new Error('nobody waits for it')))
  try {
    await connected(socket, proxy, to)
    if (to.tls) return await secured(socket, to, to.tls)
    // Nothing comes before our first word, so nothing is lost by it.
    return socket.resume()
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** `createConnection` of `node:http(s)`, and so of `ws`: no agent may be given beside it. */
export function creating(open: () => Promise<Socket>) {
  return (_: unknown, made: (error: Error | null, socket: Socket) => void): undefined => {
    const refused = (error: unknown) => made(error as Error, undefined as unknown as Socket)
    open().then((socket) => made(null, socket), refused)
  }
}

function near({ protocol, hostname, port }: URL): Socket {
  const host = hostname.replace(/^\[|\]$/g, '')
  const isSecure = protocol === 'https:'
  // A half that is closed does not close the other: the splice tells them apart.
  const at = { host, port: Number(port) || (isSecure ? 443 : 80), allowHalfOpen: true }
  const named = isIP(host) ? {} : { servername: host }
  const socket = isSecure ? tls.connect({ ...at, ...named }) : connect(at)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, keepAliveMs)
  return socket
}

function connected(socket: Socket, proxy: URL, to: FarEnd): Promise<void> {
  return new Promise((resolve, reject) => {
    let head = ''
    const fail = (error: Error) => reject(error)
    const closed = () => reject(new Error('the proxy closed the connection'))
    const read = (bytes: Buffer) => {
      head += bytes.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0 && head.length <= maxHead) return
      socket.off('data', read).off('end', closed).off('close', closed).off('error', fail)
      socket.pause()
      // The far end waits for our first word: bytes before it are none of its own.
      const isWhole = end >= 0 && end + 4 === head.length
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 'no status'
      if (isWhole && status.startsWith('2')) resolve()
      else reject(new Error(`the proxy answered CONNECT with ${status}`))
    }
    socket.on('data', read).on('end', closed).on('close', closed).on('error', fail)
    socket.once(proxy.protocol === 'https:' ? 'secureConnect' : 'connect', () =>
      socket.write(connectHead(proxy, to), 'latin1'),
    )
  })
}

function connectHead({ username, password }: URL, to: FarEnd): string {
  const where = formatAddress(to)
  const lines = [`CONNECT ${where} HTTP/1.1`, `Host: ${where}`]
  if (username !== '') {
    const words = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    lines.push(`Proxy-Authorization: Basic ${Buffer.from(words).toString('base64')}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

function secured(socket: Socket, { host }: FarEnd, options: tls.ConnectionOptions) {
  return new Promise<tls.TLSSocket>((resolve, reject) => {
    // `host` is what the certificate is compared with; an address is not sent as a name.
    const named = isIP(host) ? { host } : { host, servername: host }
    const secure = tls.connect({ ...named, ...options, socket })
    secure.once('error', reject)
    const closed = () => reject(new Error('the connection through the proxy was closed'))
    secure.once('end', closed).once('close', closed)
    socket.once('close', closed)
    secure.once('secureConnect', () => {
      secure.off('error', reject)
      resolve(secure)
    })
  })
}
