/** The network's two far ends, as the connector's tests play them: a caller, and the API server. */
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { written } from '../test/secrets/record.ts'

/** What came from the other end of a connection so far. */
export class Tape {
  readonly socket: Duplex
  readonly closed: Promise<void>
  text = ''
  #waiting: (() => void)[] = []

  constructor(socket: Duplex) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1')
      this.#tell()
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve()
        this.#tell()
      })
    })
    // Far ends here end when they are told to, unless a test wants half of a connection.
    socket.on('end', () => this.onEnd())
  }

  onEnd: () => void = () => this.socket.end()

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** All there is, once it holds `wanted`. Fails when the connection closes before. */
  async until(wanted: string | RegExp): Promise<string> {
    while (this.text.search(wanted) < 0) {
      if (this.socket.closed) throw new Error(`closed after ${JSON.stringify(this.text)}`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return this.text
  }

  /** All that came until the connection closed. */
  async toEnd(): Promise<string> {
    await this.closed
    return this.text
  }

  #tell(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const told of waiting) told()
  }
}

/** Stands in for the API server: records every byte of every connection, and answers as told. */
export class Recorder {
  readonly connections: Tape[] = []
  /** Called when a connection has brought a new head (text up to the blank line). */
  answer: (connection: Tape, head: string) => void = (connection) => connection.send(plainAnswer)
  #waiting: (() => void)[] = []

  accept(socket: tls.TLSSocket): void {
    const connection = new Tape(socket)
    this.connections.push(connection)
    let seen = 0
    socket.on('data', () => {
      for (let end = connection.text.indexOf('\r\n\r\n', seen); end >= 0;) {
        const head = connection.text.slice(seen, end + 4)
        seen = end + 4
        written('URL', 'API server', head.split('\r\n', 1)[0] ?? '')
        this.answer(connection, head)
        end = connection.text.indexOf('\r\n\r\n', seen)
      }
    })
    for (const told of this.#waiting.splice(0)) told()
  }

  get text(): string {
    return this.connections.map(({ text }) => text).join('')
  }

  async connection(number: number): Promise<Tape> {
    for (;;) {
      const connection = this.connections[number]
      if (connection) return connection
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}

export const plainAnswer =
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'

export async function dial(port: number, ca: string): Promise<Tape> {
  const halves = { allowHalfOpen: true }
  const socket = tls.connect({ host: '127.0.0.1', port, ca, servername: 'd-prod.test', ...halves })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  return new Tape(socket)
}
