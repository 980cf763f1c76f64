import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { test, type TestContext } from 'node:test'
import type { Tape } from '../far-ends.fixtures.ts'
import type { Framing } from '../door/http1.ts'
import { requestOf, world } from '../fixtures.ts'
import { Refusal } from '../status.ts'
import { answerBody } from './body.ts'
import { headInHand, readHead } from './heads.ts'
import { Side } from './side.ts'
import { pass } from './splice.ts'

const piece = 'x'.repeat(64 * 1024)
/** What the kernel's buffers of two connections may hold, and some; what is sent is far more. */
const mostInFlight = 2 * (kernelBuffer('tcp_rmem') + kernelBuffer('tcp_wmem')) + 8 * 1024 * 1024
const all = Math.ceil((2 * mostInFlight) / piece.length) * piece.length

/** The most bytes that the kernel lets such a buffer grow to: machines differ by an order. */
function kernelBuffer(name: 'tcp_rmem' | 'tcp_wmem'): number {
  const [, , most] = readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)
  return Number(most)
}

/** Writes until `all` is written or nobody takes any more; says how much that was. */
async function fill(socket: Duplex): Promise<number> {
  let sent = 0
  while (sent < all) {
    const hasRoom = socket.write(piece)
    sent += piece.length
    if (!hasRoom && !(await drainsSoon(socket))) break
  }
  return sent
}

/** Writes the rest to a reader who reads again, however long that takes. */
async function fillUp(socket: Duplex, written: number): Promise<void> {
  // What was waiting may be on its way by now, and then nothing drains any more.
  for (let sent = written; sent < all; sent += piece.length) {
    if (socket.writableNeedDrain) await once(socket, 'drain')
    socket.write(piece)
  }
}

/** False when a second passes without room: then the other end has stopped reading. */
function drainsSoon(socket: Duplex): Promise<boolean> {
  return new Promise((resolve) => {
    const drained = () => resolve(true)
    socket.once('drain', drained)
    setTimeout(() => {
      socket.off('drain', drained)
      resolve(false)
    }, 1_000)
  })
}

/** Counts what comes from here on, instead of keeping it. */
function counting(tape: Tape): { bytes: number; reached: Promise<void> } {
  tape.socket.removeAllListeners('data')
  const { promise: reached, resolve } = Promise.withResolvers<void>()
  const reader = { bytes: 0, reached }
  tape.socket.on('data', (bytes: Buffer) => {
    reader.bytes += bytes.length
    if (reader.bytes >= all) resolve()
  })
  return reader
}

async function stalls(from: Tape, to: Tape): Promise<void> {
  const reader = counting(to)
  to.socket.pause()
  const sent = await fill(from.socket)
  assert.ok(sent < mostInFlight, `${sent} bytes were taken for a reader that reads none`)
  const before = process.memoryUsage().rss
  to.socket.resume()
  await fillUp(from.socket, sent)
  await reader.reached
  assert.equal(reader.bytes, all)
  assert.ok(process.memoryUsage().rss - before < all, 'what passes through is not kept')
}

async function begun(t: TestContext, line: string, answer: string, ...more: string[]) {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = (connection) => connection.send(answer)
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana'), line, ...more))
  if (answer !== '') await caller.until('\r\n\r\n')
  const upstream = await recorder.connection(0)
  await upstream.until('\r\n\r\n')
  // Its data listener goes with those that count.
  recorder.answer = () => {}
  return { caller, upstream }
}

const upgrade = ['Connection: Upgrade', 'Upgrade: websocket']
const ofLength = `HTTP/1.1 200 OK\r\nContent-Length: ${all}\r\n\r\n`
const switched = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'

test('D11: a caller who stops reading stops the API server, in bounded memory', async (t) => {
  const { caller, upstream } = await begun(t, 'GET /', ofLength)
  await stalls(upstream, caller)
})

test('D11: an API server that stops reading stops the caller, in bounded memory', async (t) => {
  const { caller, upstream } = await begun(t, 'POST /', '', `Content-Length: ${all}`)
  await stalls(caller, upstream)
})

for (const which of ['caller', 'API server']) {
  test(`D11: an upgraded stream is bounded too, when the ${which} stops reading`, async (t) => {
    const { caller, upstream } = await begun(t, 'GET /exec', switched, ...upgrade)
    await (which === 'caller' ? stalls(upstream, caller) : stalls(caller, upstream))
  })
}

/** A side whose other end is told by hand, and what was written to it, write by write. */
function byHand() {
  const writes: string[] = []
  const socket = new Duplex({
    read: () => {},
    write: (bytes: Buffer, _encoding, done) => {
      writes.push(bytes.toString('latin1'))
      done()
    },
  })
  return { socket, side: new Side(socket), writes }
}

async function passing(from: Side, to: Side, framing: Framing): Promise<void> {
  await (pass(from, to, answerBody(framing), 'head\r\n\r\n') ?? undefined)
}

/** What `answer` comes to when all of it, head apart, has come before it is passed on. */
async function passed(framing: Framing, body: string) {
  const [from, to] = [byHand(), byHand()]
  from.side.onUnasked = () => {}
  const came = new Promise<void>((resolve) => (from.side.onUnasked = resolve))
  from.socket.push(Buffer.from(body))
  await came
  const failure = await passing(from.side, to.side, framing).then(
    () => null,
    (error: unknown) => error,
  )
  return { writes: to.writes, failure, behind: from.side.take()?.toString() ?? '' }
}

test('what has come of a body goes with its head in one write, and what is behind it stays', async () => {
  const counted = await passed({ kind: 'length', length: 4 }, 'bodyHTTP/1.1')
  assert.deepEqual(counted, { writes: ['head\r\n\r\nbody'], failure: null, behind: 'HTTP/1.1' })
  const empty = await passed({ kind: 'none' }, 'HTTP/1.1')
  assert.deepEqual(empty, { writes: ['head\r\n\r\n'], failure: null, behind: 'HTTP/1.1' })
})

test('D5: a first chunk that can not be read takes its head with it: nothing is passed on', async () => {
  const { writes, failure } = await passed({ kind: 'chunked' }, '2;a=b\r\nok\r\n0\r\n\r\n')
  assert.ok(failure instanceof Refusal)
  assert.deepEqual(writes, [])
})

test('a head in hand is read at once, and one in two pieces is not in hand', async () => {
  const { socket, side } = byHand()
  const came = () => new Promise<void>((resolve) => (side.onUnasked = resolve))
  const first = came()
  socket.push(Buffer.from('HTTP/1.1 200 OK\r\n'))
  await first
  assert.equal(headInHand(side), null)
  const second = came()
  socket.push(Buffer.from('\r\nbody'))
  await second
  assert.equal(await readHead(side), 'HTTP/1.1 200 OK\r\n\r\n')
  assert.equal(side.take()?.toString(), 'body')
  const third = came()
  socket.push(Buffer.from('HTTP/1.1 204 No\r\n\r\nrest'))
  await third
  assert.equal(headInHand(side), 'HTTP/1.1 204 No\r\n\r\n')
  assert.equal(side.take()?.toString(), 'rest')
})
