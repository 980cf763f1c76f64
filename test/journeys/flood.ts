/** Strangers at a connector's door, as many as it lets in and more, each with nonsense of some kind. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import tls from 'node:tls'

/** How many are there at once: more than the door is set to hold of them. */
const crowd = 400
/** Each is sent whole, and then nothing: whoever sends it waits to be shown out. */
const heads = [
  '',
  `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(60_000)}`,
  `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`,
  'POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\nxxxx',
  'GET /api HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\n\r\n',
  '\0\x01\x02\xff'.repeat(4_000),
]

export class Flood {
  opened = 0
  readonly #host: string
  readonly #port: number
  readonly #open = new Set<Socket>()
  #isOn = false

  constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
  }

  start(): void {
    this.#isOn = true
    for (let n = 0; n < crowd; n += 1) this.#come()
  }

  stop(): void {
    this.#isOn = false
    for (const socket of this.#open) socket.destroy()
  }

  /** What `work` gives, done while strangers came before it, within it and at its end. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const before = this.opened
    const done = await work()
    assert.ok(this.#isOn && this.#open.size > 0, 'the flood is over')
    assert.ok(before > 0 && this.opened > before, 'no stranger came meanwhile')
    return done
  }

  /** Another comes for each that is shown out. */
  #come(): void {
    if (!this.#isOn) return
    const number = (this.opened += 1)
    // Many machines, each with ports of its own.
    const localAddress = `127.0.0.${2 + (number % 50)}`
    const socket = connect({ host: this.#host, port: this.#port, localAddress })
    this.#open.add(socket)
    socket
      .on('error', () => {})
      .once('close', () => {
        this.#open.delete(socket)
        setImmediate(() => this.#come())
      })
    socket.once('connect', () => speak(socket, number))
  }
}

/** Strangers who say all that they have to say, and stay. */
export class Crowd {
  readonly #host: string
  readonly #port: number
  readonly #open: Socket[] = []

  constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
  }

  /** So many come, a hundred at a time; each has sent `said` before the next hundred comes. */
  async come(count: number, said: string): Promise<void> {
    for (let n = 0; n < count; n += 100) {
      await Promise.all(Array.from({ length: 100 }, () => this.#say(said)))
    }
  }

  leave(): void {
    for (const socket of this.#open) socket.destroy()
  }

  async #say(said: string): Promise<void> {
    const socket = connect({ host: this.#host, port: this.#port, localAddress: '127.0.0.2' })
    this.#open.push(socket)
    const secure = tls.connect({ socket, rejectUnauthorized: false })
    const closed = new Promise((resolve) => secure.on('error', () => {}).once('close', resolve))
    const sent = new Promise((resolve) =>
      secure.resume().once('secureConnect', () => secure.write(said, 'latin1', resolve)),
    )
    await Promise.race([closed, sent])
  }
}

function speak(socket: Socket, number: number): void {
  if (number % 8 === 0) return void socket.resume()
  if (number % 8 === 1) return void socket.resume().write('GET / HTTP/1.1\r\n\r\n')
  const secure = tls.connect({ socket, rejectUnauthorized: false })
  secure.on('error', () => socket.destroy()).once('close', () => socket.destroy())
  secure
    .resume()
    .once('secureConnect', () => secure.write(heads[number % heads.length] ?? '', 'latin1'))
}
