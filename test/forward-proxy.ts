/** A proxy that makes connections for others, as companies have them. */
import { createServer as createHttpServer } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { secret, written } from './secrets/record.ts'

export type ForwardProxy = {
  /** With the user and the password that it asks for. */
  url: string
  /** Where it was asked to connect to, as written. */
  targets: string[]
  close(): void
}

/**
 * A proxy that makes connections for others (CONNECT). It alone knows names that end in `.test`: so
 * whoever reaches one of them has come by this way.
 */
export async function startForwardProxy(credential = 'ana:pa ss of hers'): Promise<ForwardProxy> {
  const wanted = `Basic ${Buffer.from(credential).toString('base64')}`
  const targets: string[] = []
  const open = new Set<Duplex>()
  secret('proxy password', credential.replace(/^.*?:/, ''))
  const server = createHttpServer((_, response) => response.writeHead(400).end())
  server.on('connect', (request, near) => {
    open.add(near)
    near.on('error', () => {}).on('close', () => open.delete(near))
    if (request.headers['proxy-authorization'] !== wanted) {
      return near.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    }
    const [, host = '', port] = /^(.*):(\d+)$/.exec(request.url ?? '') ?? []
    targets.push(request.url ?? '')
    written('URL', 'forward proxy', request.url ?? '')
    if (!host.endsWith('.test')) return near.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    const far = connect(Number(port), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      near.pipe(far).pipe(near)
    })
    far.on('error', () => near.destroy())
    near.on('close', () => far.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const [user = '', password = ''] = credential.split(':').map(encodeURIComponent)
  return {
    url: `http://${user}:${password}@127.0.0.1:${address.port}`,
    targets,
    close: () => {
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}
