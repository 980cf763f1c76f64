/** Plays a case on the real data path, over connections in memory, and tells all that was seen. */
import {
  accessTo,
  account,
  grantOf,
  group,
  HandClock,
  renew,
  user,
} from '../../connector/fixtures.ts'
import { HeldAccess } from '../../connector/access.ts'
import { Door } from '../../connector/door/door.ts'
import { Proxy } from '../../connector/splice/proxy.ts'
import { Side } from '../../connector/splice/side.ts'
import { Streams } from '../../connector/streams.ts'
import { answerOf, ApiServer, type Arrival, type Connection } from './api-server.ts'
import type { Case } from './cases/case.ts'
import { pipe, type End } from './pipe.ts'
import { issuedAt, publicKey } from './cases/tokens.ts'

export type Seen = {
  /** What the API server received, a text a connection, and on which each request came. */
  received: string[]
  arrivals: Arrival[]
  /** What the caller was answered, a text a connection. */
  got: string[]
  /** Whether the connector had closed before the caller ended. */
  closedFirst: boolean
  /** Why it was refused, where the connector did that. */
  refused: { status: number; message: string; cause: string }[]
  /** Streams and places still held at the end, and whether the connection was still being served. */
  leftOver: number
  hangs: boolean
}

export const peer = '192.0.2.7'
const quietTurns = 3
const manyTurns = 200

const clock = new HandClock()
const access = new HeldAccess(clock)
const ops = { id: 'g-ops', name: 'ops, on call' }
clock.pass(issuedAt + 1_000 - clock.wall())
renew(
  access,
  accessTo({
    signingKeys: [publicKey],
    users: [
      { id: 'u-ana', email: 'ana@example.com', groups: [ops.id] },
      { id: 'u-bo', email: 'bo@example.com', groups: [] },
    ],
    groups: [ops],
    grants: [
      grantOf(user('u-ana'), 'view'),
      grantOf(group(ops.id), 'edit', { namespace: 'web' }),
      grantOf(user('u-bo'), 'edit'),
    ],
  }),
  clock,
)
const door = new Door({ access })

/** What is known of each user here, as the API server should be told. */
export const groupsOf = {
  'u-ana': ['infra:group:ops, on call', 'infra:namespace:web:edit', 'infra:role:view'],
  'u-bo': ['infra:role:edit'],
}

export async function play(one: Case): Promise<Seen> {
  const moved = { bytes: 0 }
  const refused: Seen['refused'] = []
  const server = new ApiServer(
    { isEarly: one.plan.answer === 'early', continues: one.hostile === 'caller' },
    answering(one),
  )
  const streams = new Streams()
  const proxy = new Proxy({
    ...{ door, access, streams, beforeBytes: () => {} },
    upstream: () => ({ host: 'api.test', port: 6443, tls: { ca: '' }, credential: () => account }),
    dial: async () => {
      const [near, far] = pipe(moved)
      server.accept(far)
      return new Side(near)
    },
    log: (_level, message, facts) =>
      void refused.push({
        status: Number(facts?.['status']),
        message,
        cause: String(facts?.['cause']),
      }),
    streamLog: 'none',
  })
  const callers: Caller[] = []
  const dial = () => {
    const [near, far] = pipe(moved)
    const place = proxy.places.take(peer, () => far.destroy())
    if (!place) throw new Error('there is no place at the door')
    far.once('close', () => place.leave())
    callers.push(new Caller(near, proxy.serve(far, { address: peer, place })))
  }
  dial()
  for (const piece of one.sent) {
    // Who was cut off dials again: what an odd answer left behind must not meet the next request.
    if (one.hostile === 'upstream' && callers.at(-1)?.hasEnded) dial()
    callers.at(-1)?.send(piece)
    await (one.hostile === 'upstream' ? quiet(moved) : turn())
  }
  if (one.ends === 'in quiet') await quiet(moved)
  const closedFirst = callers.every(({ hasEnded }) => hasEnded)
  for (const caller of callers) caller.leave(one.ends === 'by reset')
  await quiet(moved)
  for (const caller of callers) caller.leave(true)
  const isServed = () => callers.every((caller) => caller.isServed)
  for (let turns = 0; turns < manyTurns && !isServed(); turns += 1) await turn()
  proxy.close()
  return {
    received: server.connections.map(({ text }) => text),
    arrivals: server.arrivals,
    got: callers.map(({ text }) => text),
    ...{ closedFirst, refused, leftOver: streams.count + placesHeld(proxy), hangs: !isServed() },
  }
}

function placesHeld({ places }: Proxy): number {
  return [...places.open.values()].reduce((sum, count) => sum + count, 0)
}

function answering(one: Case) {
  return (connection: Connection, number: number, head: string): void => {
    if (one.hostile === 'upstream' && number === 0) return void sendAll(connection.end, one)
    if (!connection.end.writable) return
    connection.end.write(answerOf(one.plan, number, head), 'latin1')
    if (one.plan.answer === 'closing') connection.end.end()
  }
}

async function sendAll(end: End, one: Case): Promise<void> {
  for (const piece of one.answered) {
    if (!end.writable) return
    end.write(piece, 'latin1')
    await turn()
  }
  if (one.closes) end.end()
}

/** The caller's end of a connection. */
class Caller {
  readonly #end: End
  text = ''
  hasEnded = false
  isServed = false

  constructor(end: End, served: Promise<void>) {
    this.#end = end
    end.on('data', (bytes: Buffer) => (this.text += bytes.toString('latin1')))
    end.on('error', () => {})
    end.on('end', () => {
      this.hasEnded = true
      end.end()
    })
    void served.then(() => (this.isServed = true))
  }

  send(piece: string): void {
    if (this.#end.writable) this.#end.write(piece, 'latin1')
  }

  leave(atOnce: boolean): void {
    if (atOnce) this.#end.destroy()
    else this.#end.end()
  }
}

/** Waits until nothing moves any more: without a network, nothing is on its way but by a turn. */
async function quiet(moved: { bytes: number }): Promise<void> {
  for (let still = 0; still < quietTurns;) {
    const before = moved.bytes
    await turn()
    still = moved.bytes === before ? still + 1 : 0
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
