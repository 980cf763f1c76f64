/**
 * The API server of the attacks: reads requests by RFC 9112 with a reader of its own, keeps what
 * came byte for byte, and says in each answer which request of whom it is for.
 */
import type { Duplex } from 'node:stream'

export class Origin {
  /** Requests that were whole, as they came. */
  readonly whole: string[] = []
  readonly #open = new Map<Duplex, string>()
  readonly #waiting: (() => void)[] = []
  /** What came of requests that never became whole. */
  readonly #broken: string[] = []

  accept(socket: Duplex): void {
    this.#open.set(socket, '')
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('data', (bytes: Buffer) => this.#read(socket, bytes.toString('latin1')))
    socket.on('close', () => this.#gone(socket))
  }

  /** What never became whole since this was asked last; its connections are closed by then. */
  async broken(): Promise<string[]> {
    while ([...this.#open.values()].some((text) => text !== '')) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return this.#broken.splice(0)
  }

  #gone(socket: Duplex): void {
    const left = this.#open.get(socket) ?? ''
    this.#open.delete(socket)
    if (left !== '') this.#broken.push(left)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #read(socket: Duplex, bytes: string): void {
    let text = (this.#open.get(socket) ?? '') + bytes
    for (let end = lengthOf(text); end !== null; end = lengthOf(text)) {
      const request = text.slice(0, end)
      this.whole.push(request)
      if (/^Expect: /im.test(request)) socket.write('HTTP/1.1 100 Continue\r\n\r\n')
      socket.write(`HTTP/1.1 200 OK\r\nX-Answers: ${nameOf(request)}\r\nContent-Length: 0\r\n\r\n`)
      text = text.slice(end)
    }
    this.#open.set(socket, text)
  }
}

/** `GET /a as ana`, by what the API server would take it for. */
export function nameOf(request: string): string {
  const [line = ''] = request.split(' HTTP/1.1')
  return `${line} as ${/^Impersonate-User: (\w+)@/m.exec(request)?.[1]}`
}

/** How long the request at the front of `text` is, or null while it is not whole. */
function lengthOf(text: string): number | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const from = end + 4
  const [, length] = /^Content-Length: ([0-9]+)\r$/m.exec(text.slice(0, from)) ?? []
  const isChunked = /^Transfer-Encoding: chunked\r$/m.test(text.slice(0, from))
  if (!isChunked) return atMost(from + Number(length ?? 0), text)
  for (let at = from; ;) {
    const [line, size = ''] = /^([0-9A-Fa-f]+)\r\n/.exec(text.slice(at)) ?? []
    if (line === undefined) return null
    at += line.length + Number.parseInt(size, 16) + 2
    if (Number.parseInt(size, 16) === 0) return atMost(at, text)
  }
}

function atMost(end: number, text: string): number | null {
  return end <= text.length ? end : null
}
