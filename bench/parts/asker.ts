/** Asks one address over and over, on so many connections that stay, as fast as it answers. */
import { serveParent, wall } from '../harness.ts'

type TlsSocket = { data: Asker; write(bytes: Uint8Array): number; terminate(): void }
declare const Bun: { connect(options: object): Promise<TlsSocket> }
type Options = { port: number; request: string; connections: number; seconds: number }
export type Asked = { count: number; failed: number; seconds: number; ms: number[] }

class Asker {
  readonly #request: Buffer
  readonly #ms: number[]
  #sentAt = 0
  #rest = Buffer.alloc(0)
  failed = 0
  isOver = false

  constructor(request: Buffer, ms: number[]) {
    this.#request = request
    this.#ms = ms
  }

  ask(socket: TlsSocket): void {
    this.#sentAt = wall()
    socket.write(this.#request)
  }

  read(socket: TlsSocket, bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#rest.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? NaN)
    if (this.#rest.length < end + 4 + length) return
    this.#rest = this.#rest.subarray(end + 4 + length)
    if (!head.startsWith('HTTP/1.1 200')) this.failed += 1
    this.#ms.push(wall() - this.#sentAt)
    if (this.isOver) socket.terminate()
    else this.ask(socket)
  }
}

const socket = {
  handshake: (tls: TlsSocket) => tls.data.ask(tls),
  data: (tls: TlsSocket, bytes: Buffer) => tls.data.read(tls, bytes),
  open: () => {},
  close: () => {},
  error: () => {},
}

async function ask({ port, request, connections, seconds }: Options): Promise<Asked> {
  const ms: number[] = []
  const askers = Array.from({ length: connections }, () => new Asker(Buffer.from(request), ms))
  const startedAt = wall()
  const tls = { rejectUnauthorized: false }
  for (const data of askers) await Bun.connect({ hostname: '127.0.0.1', port, tls, socket, data })
  await new Promise((resolve) => void setTimeout(resolve, seconds * 1000))
  for (const asker of askers) asker.isOver = true
  const failed = askers.reduce((sum, asker) => sum + asker.failed, 0)
  return { count: ms.length, failed, seconds: (wall() - startedAt) / 1000, ms }
}

serveParent({ ask })
