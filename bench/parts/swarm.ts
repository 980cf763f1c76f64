/**
 * A swarm: many links of one process, each a WebSocket over TLS that says hello, pings at the
 * product's pace and acknowledges what comes. Written on bare sockets, so that it costs less than
 * what it measures; it checks no certificate, for the same reason.
 */
import { randomBytes } from 'node:crypto'
import { pingEveryMs } from '../../connector/link/pace.ts'
import { serveParent, wall } from '../harness.ts'

type TlsSocket = {
  data: Link
  write(bytes: Uint8Array): number
  end(): void
  terminate(): void
}
declare const Bun: { connect(options: object): Promise<TlsSocket> }

type Options = {
  port: number
  path: string
  /** A link for each. */
  keys: string[]
  /** The user whose deltas are told of. */
  user: string
  atOnce: number
}
/** When a delta came, and what it says of the user. */
export type Arrival = { at: number; bytes: number; isGone: boolean }
type Seen = { at: number; revision: number; text: Buffer }

/** Kinds are told by the first bytes of a message, which cost less than reading all of it. */
const accessKind = Buffer.from('{"kind":"access"')
const deltaKind = Buffer.from('{"kind":"delta"')
const beatKind = Buffer.from('{"kind":"beat"')

class Link {
  readonly key: string
  readonly #path: string
  #socket: TlsSocket | null = null
  isUpgraded = false
  #rest: Buffer = Buffer.alloc(0)
  isLinked = false
  hasBeat = false
  dialledAt = 0
  beatAt = 0
  pingAt = Infinity
  #pings = 0
  /** The last delta about the user: judged when asked about. */
  seen: Seen | null = null

  constructor(key: string, path: string) {
    this.key = key
    this.#path = path
  }

  secure(socket: TlsSocket): void {
    this.#socket = socket
    const head = [
      `GET ${this.#path} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      `Authorization: Bearer ${this.key}`,
    ]
    socket.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n`))
  }

  read(bytes: Buffer): void {
    const at = wall()
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    if (!this.isUpgraded && !this.#upgrade()) return
    for (let frame = this.#frame(); frame; frame = this.#frame()) this.#take(frame, at)
    if (this.#rest.length > 0) this.#rest = Buffer.from(this.#rest)
  }

  close(): void {
    this.#socket?.terminate()
  }

  ping(): void {
    this.#pings += 1
    this.#say(1, `{"kind":"ping","id":${this.#pings}}`)
  }

  #upgrade(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) return false
    const head = this.#rest.toString('latin1', 0, end)
    if (!head.startsWith('HTTP/1.1 101')) throw new Error(head.slice(0, 80))
    this.#rest = this.#rest.subarray(end + 4)
    this.isUpgraded = true
    const instance = `swarm-${this.key.slice(0, 12)}`
    const nothing = { epoch: null, revision: null, endpoint: null }
    this.#say(1, JSON.stringify({ kind: 'hello', instance, version: 'bench', ...nothing }))
    this.ping()
    return true
  }

  #frame(): { kind: number; text: Buffer } | null {
    const bytes = this.#rest
    if (bytes.length < 2) return null
    let length = (bytes[1] ?? 0) & 127
    let from = 2
    if (length === 126) {
      if (bytes.length < 4) return null
      length = bytes.readUInt16BE(2)
      from = 4
    } else if (length === 127) {
      if (bytes.length < 10) return null
      length = Number(bytes.readBigUInt64BE(2))
      from = 10
    }
    if (bytes.length < from + length) return null
    this.#rest = bytes.subarray(from + length)
    return { kind: (bytes[0] ?? 0) & 15, text: bytes.subarray(from, from + length) }
  }

  #take({ kind, text }: { kind: number; text: Buffer }, at: number): void {
    if (kind === 9) return this.#say(10, text)
    if (kind !== 1) return
    if (begins(text, beatKind)) {
      if (!this.hasBeat) this.beatAt = at
      this.hasBeat = true
    } else if (begins(text, deltaKind)) {
      const revision = this.#acknowledge(text)
      if (text.includes(watched)) this.seen = { at, revision, text: Buffer.from(text) }
    } else if (begins(text, accessKind)) {
      this.isLinked = true
      this.#acknowledge(text)
    }
  }

  /** Epoch and revision are picked out of the text: a connector pays for reading it, not we. */
  #acknowledge(text: Buffer): number {
    const said = text.toString('latin1')
    const epoch = /"epoch":"([^"]*)"/.exec(said)?.[1]
    const revision = /"revision":(\d+)/.exec(said)?.[1]
    this.#say(1, `{"kind":"ack","epoch":"${epoch}","revision":${revision},"severed":1}`)
    return Number(revision)
  }

  /** A mask of zeros: it must be there, and need not be secret. */
  #say(kind: number, text: string | Buffer): void {
    const payload = typeof text === 'string' ? Buffer.from(text) : text
    const length = payload.length
    const head =
      length < 126
        ? Buffer.from([0x80 | kind, 0x80 | length, 0, 0, 0, 0])
        : Buffer.from([0x80 | kind, 0x80 | 126, length >> 8, length & 255, 0, 0, 0, 0])
    this.#socket?.write(Buffer.concat([head, payload]))
  }
}

function begins(text: Buffer, kind: Buffer): boolean {
  return text.subarray(0, kind.length).equals(kind)
}

let links: Link[] = []
let watched = 'nobody'
let closed = 0
let pinging: NodeJS.Timeout | null = null

const socket = {
  handshake: (tls: TlsSocket) => tls.data.secure(tls),
  data: (tls: TlsSocket, bytes: Buffer) => tls.data.read(bytes),
  open: () => {},
  close: () => {
    closed += 1
  },
  error: (_tls: TlsSocket, error: Error) => console.error(error.message),
}

/** Dials all, `atOnce` at a time, and gives the ms until each had its first beat. */
async function open({ port, path, keys, user, atOnce }: Options): Promise<number[]> {
  watched = user
  links = keys.map((key) => new Link(key, path))
  closed = 0
  const left = links.values()
  const startedAt = wall()
  const worker = async () => {
    for (const link of left) {
      link.dialledAt = wall()
      await dial(link, port)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  // As a connector does while nobody is let in.
  const asking = setInterval(() => {
    for (const link of links) if (link.isUpgraded && !link.hasBeat) link.ping()
  }, pingEveryMs(null))
  await until(() => links.every((link) => link.hasBeat))
  clearInterval(asking)
  keepPinging()
  return links.map(({ beatAt }) => beatAt - startedAt)
}

/** Until it is linked as well, so that no more than so many are under way. */
async function dial(link: Link, port: number): Promise<void> {
  const tls = { rejectUnauthorized: false }
  await Bun.connect({ hostname: '127.0.0.1', port, tls, socket, data: link })
}

/** At the pace of a connector with the default lease, evenly over all links. */
function keepPinging(): void {
  const everyMs = pingEveryMs(360)
  let at = 0
  let last = wall()
  pinging = setInterval(() => {
    const now = wall()
    const due = ((now - last) / everyMs) * links.length
    const count = Math.floor(due)
    last += (count / links.length) * everyMs
    for (let done = 0; done < count; done += 1) {
      links[at]?.ping()
      at = (at + 1) % links.length
    }
  }, 10)
}

/** What came to each link about the user with at least this revision. */
async function heard({ revision }: { revision: number }): Promise<Arrival[]> {
  await until(() => links.every(({ seen }) => seen !== null && seen.revision >= revision))
  return links.flatMap(({ seen }) => {
    if (!seen) return []
    const { at, text } = seen
    const { delta } = JSON.parse(text.toString('utf8')) as Said
    const isGone = delta.users.every(({ id }) => id !== watched)
    return [{ at, bytes: text.length, isGone }]
  })
}

type Said = { delta: { users: { id: string }[] } }

function forget(): void {
  for (const link of links) link.seen = null
}

async function close(): Promise<void> {
  if (pinging) clearInterval(pinging)
  for (const link of links) link.close()
  await until(() => closed >= links.length)
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries += 1) {
    if (tries > 12_000) throw new Error('the swarm waits in vain')
    await new Promise((resolve) => void setTimeout(resolve, 10))
  }
}

function counts() {
  const count = (is: (link: Link) => boolean) => links.filter(is).length
  return {
    closed,
    upgraded: count((link) => link.isUpgraded),
    linked: count((link) => link.isLinked),
    beats: count((link) => link.hasBeat),
  }
}

serveParent({ open, heard, forget, close, counts })
