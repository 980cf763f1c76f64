import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { test, type TestContext } from 'node:test'
import type { Tape } from '../far-ends.fixtures.ts'
import { requestOf, world } from '../fixtures.ts'

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
async function fill(socket: Duplex, written = 0): Promise<number> {
  let sent = written
  while (sent < all) {
    const hasRoom = socket.write(piece)
    sent += piece.length
    if (!hasRoom && !(await drains(socket))) break
  }
  return sent
}

/** False when a second passes without room: then the other end has stopped reading. */
function drains(socket: Duplex): Promise<boolean> {
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
  const whole = await fill(from.socket, sent)
  assert.equal(whole, all)
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
