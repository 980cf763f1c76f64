/** What the link's tests stand on: the server's end as the test plays it, and a clock by hand. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type RawData, WebSocketServer, type WebSocket } from 'ws'
import type { Access } from '../../src/wire/access.ts'
import { openSocket } from '../../src/wire/dial.ts'
import { FromConnector, type FromServer } from '../../src/wire/link.ts'
import { HeldAccess } from '../access.ts'
import { Enforcer } from './enforcer.ts'
import { Link } from './link.ts'
import type { Log } from '../status.ts'
import { Streams } from '../streams.ts'

export const start = Date.parse('2026-01-01T00:00:00Z')

export function accessAt(revision: number, roles: string[] = ['view'], epoch = 'e1'): Access {
  return {
    destination: { id: 'd1', name: 'prod' },
    epoch,
    revision,
    issuer: 'https://infra.example.com',
    leaseSeconds: 15,
    onLeaseEnd: 'cut',
    users: [{ id: 'u1', email: 'ana@example.com', groups: [], ended: [] }],
    groups: [],
    grants: roles.map((role) => ({
      id: `g-${role}`,
      subject: { kind: 'user', id: 'u1' },
      role,
      namespace: null,
      expiresAt: null,
    })),
    signingKeys: [],
  }
}

/** Answers of the server that a test waits for, in the order in which they came. */
export class Queue<T> {
  readonly #items: T[] = []
  #heard: (() => void) | null = null

  push(item: T): void {
    this.#items.push(item)
    this.#heard?.()
  }

  async next(): Promise<T> {
    for (;;) {
      const [first] = this.#items.splice(0, 1)
      if (first !== undefined) return first
      await new Promise<void>((heard) => (this.#heard = heard))
    }
  }

  async find<S extends T>(fits: (item: T) => item is S): Promise<S> {
    for (;;) {
      const item = await this.next()
      if (fits(item)) return item
    }
  }
}

/** The server's end of one link, as the test plays it. */
export class Peer {
  readonly said = new Queue<FromConnector>()
  readonly received: FromConnector[] = []
  /** The code that the connector closed with, or the network's. */
  readonly closed: Promise<number>
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (raw) => {
      const message = FromConnector.parse(JSON.parse(textOf(raw)))
      this.received.push(message)
      this.said.push(message)
    })
    this.closed = new Promise((closed) => socket.once('close', closed))
  }

  send(message: FromServer | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  close(code: number): void {
    this.#socket.close(code)
  }

  ping = () => this.said.find((message) => message.kind === 'ping')
  ack = () => this.said.find((message) => message.kind === 'ack')
  hello = () => this.said.find((message) => message.kind === 'hello')

  async answerPing(since: number, at: number, epoch = 'e1'): Promise<void> {
    const { id } = await this.ping()
    this.beat(id, since, at, epoch)
  }

  beat(id: number, since: number, at: number, epoch = 'e1', digest?: string): void {
    const said = { kind: 'beat', id, at: new Date(at).toISOString() } as const
    this.send({ ...said, epoch, revision: since, since, ...(digest ? { digest } : {}) })
  }
}

export type World = Awaited<ReturnType<typeof world>>

/** A link to a real WebSocket server, with a clock that moves when the test says so. */
export async function world(t: TestContext) {
  const http: Server = createServer()
  const sockets = new WebSocketServer({ noServer: true })
  const peers = new Queue<Peer>()
  const state = { now: 5_000, status: 101, key: 'k1.one', keysSeen: [] as string[], dials: 0 }
  http.on('upgrade', (request, socket, head) => {
    state.keysSeen.push(request.headers.authorization ?? '')
    if (state.status !== 101) {
      socket.end(
        `HTTP/1.1 ${state.status} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
      )
      return
    }
    sockets.handleUpgrade(request, socket, head, (ws) => peers.push(new Peer(ws)))
  })
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening))
  const port = portOf(http.address())
  let looks = new Queue<true>()
  const clock = {
    elapsed: () => {
      looks.push(true)
      return state.now
    },
    wall: () => start + state.now,
  }
  /** The link has looked at the clock, more than once, since this was called. */
  const looked = async () => {
    looks = new Queue()
    for (let times = 0; times < 3; times += 1) await looks.next()
  }
  const access = new HeldAccess(clock)
  const streams = new Streams()
  const lines = new Queue<string>()
  const changes = new Queue<number | null>()
  const log: Log = (_level, message, facts) =>
    lines.push(`${message} ${JSON.stringify(facts ?? {})}`)
  const link = new Link({
    open: () => {
      state.dials += 1
      return openSocket(`ws://127.0.0.1:${port}/api/link`, state.key, null)
    },
    hello: { instance: 'i1', version: '1', endpoint: 'prod.example.com:443' },
    access,
    enforcer: new Enforcer(access, streams, log, clock),
    clock,
    onAccess: () => changes.push(access.current?.revision ?? null),
    log,
    random: () => 0.5,
  })
  t.after(async () => {
    await link.close()
    for (const each of sockets.clients) each.terminate()
    sockets.close()
    http.closeAllConnections()
    http.close()
  })
  return { link, access, streams, clock, state, peers, lines, changes, looked }
}

/** Linked, with Access of revision 1 and a lease that runs. */
export async function linked(t: TestContext): Promise<World & { peer: Peer }> {
  const all = await world(t)
  const peer = await all.peers.next()
  peer.send({ kind: 'access', access: accessAt(1, ['view', 'edit']) })
  await peer.ack()
  // The first ping was sent before Access came, another with it: both are owed a beat.
  await peer.answerPing(1, start)
  await all.changes.next()
  await all.changes.next()
  return { ...all, peer }
}

/** A stream of the user, and whether it is severed. */
export function stream(streams: Streams, groups: string[]) {
  const seen = { severed: false }
  const sever = () => void (seen.severed = true)
  streams.hold({ userId: 'u1', sessionId: 's1', groups, sever })
  return seen
}

/** Moves the clock on, and gives the ping that this makes due. */
export async function sentLater(peer: Peer, state: World['state'], ms: number) {
  state.now += ms
  return peer.ping()
}

/** All that was sent before has been dealt with: Access that is sent again is acknowledged again. */
export async function dealtWith(peer: Peer, access: HeldAccess): Promise<void> {
  const { revision = 0, epoch } = access.current ?? {}
  peer.send({ kind: 'access', access: accessAt(revision, ['view', 'edit'], epoch) })
  await peer.ack()
}

export function textOf(raw: RawData): string {
  return Buffer.isBuffer(raw) ? raw.toString('utf8') : ''
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address ? address.port : 0
}
