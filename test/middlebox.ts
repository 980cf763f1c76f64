/** A box between a connector and its server that opens TLS, and knows a WebSocket when it sees one. */
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { written } from './secrets/record.ts'

/** What passes a middlebox: all, plain requests only (no upgrade), or upgrades only (no poll). */
export type Passing = 'all' | 'requests' | 'upgrades'

export type Middlebox = {
  port: number
  /** What may not pass any more is closed at once. */
  let(passing: Passing): void
  /** How many polls and upgrades it has seen, whether they passed or not. */
  seen: { polls: number; upgrades: number }
  close(): void
}

const refused = 'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'

/** Opens TLS in between, by a certificate that the connector trusts, before a server of `ca`. */
export async function startMiddlebox(
  targetPort: number,
  { ca, cert, key }: { ca: string; cert: string; key: string },
): Promise<Middlebox> {
  let passing: Passing = 'all'
  const seen = { polls: 0, upgrades: 0 }
  const open = new Map<Socket, 'request' | 'poll' | 'upgrade'>()
  const server = tls.createServer({ cert, key }, (near) => {
    const far = tls.connect({ host: '127.0.0.1', port: targetPort, ca })
    open.set(near, 'request')
    near.on('data', (bytes: Buffer) => {
      const kind = kindOf(bytes)
      if (kind) open.set(near, kind)
      if (kind === 'poll') seen.polls += 1
      if (kind === 'upgrade') seen.upgrades += 1
      if (kind && !isLet(kind, passing)) near.end(refused)
      else far.write(bytes)
    })
    far.on('data', (bytes) => near.write(bytes))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
    near.on('close', () => open.delete(near))
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const closeWhere = (isClosed: (kind: 'request' | 'poll' | 'upgrade') => boolean) => {
    for (const [socket, kind] of open) if (isClosed(kind)) socket.destroy()
  }
  return {
    port: address.port,
    seen,
    let: (next) => {
      passing = next
      closeWhere((kind) => !isLet(kind, next))
    },
    close: () => {
      closeWhere(() => true)
      server.close()
    },
  }
}

/** What a chunk begins, when it is the head of a request. */
function kindOf(bytes: Buffer): 'request' | 'poll' | 'upgrade' | null {
  const text = bytes.toString('latin1')
  if (!/^(GET|POST|PUT|DELETE) \//.test(text)) return null
  written('URL', 'middlebox', text.split('\r\n', 1)[0] ?? '')
  if (/\r\nupgrade: *websocket/i.test(text)) return 'upgrade'
  return / \/api\/connector\/access/.test(text) ? 'poll' : 'request'
}

function isLet(kind: 'request' | 'poll' | 'upgrade', passing: Passing): boolean {
  if (kind === 'upgrade') return passing !== 'requests'
  return kind === 'request' || passing !== 'upgrades'
}
