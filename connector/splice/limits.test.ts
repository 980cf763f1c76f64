import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { Duplex } from 'node:stream'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { plainAnswer, Tape } from '../far-ends.fixtures.ts'
import { accessTo, grantOf, requestOf, user, world, type World } from '../fixtures.ts'
import { defaultLimits } from './limits.ts'
import { Patience } from './patience.ts'
import { Side } from './side.ts'

const watching = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const watchLine = 'GET /api/v1/pods?watch=true'

/** A connection without TLS, from an address of this machine. */
async function knock(port: number, localAddress = '127.0.0.1'): Promise<Tape> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  const tape = new Tape(socket)
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
  return tape
}

/** Sends `bytes` one at a time, and the last again and again, until the connection closes. */
async function dribble(tape: Tape, bytes: string): Promise<string> {
  let at = 0
  const timer = setInterval(() => tape.send(bytes[Math.min(at++, bytes.length - 1)] ?? ''), 10)
  const answer = await tape.toEnd()
  clearInterval(timer)
  return answer
}

async function stillServes({ dial, signer, recorder, proxy }: World): Promise<void> {
  calm(proxy)
  recorder.answer = (connection) => connection.send(plainAnswer)
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana')))
  await caller.until('ok')
  caller.socket.destroy()
}

async function watch({ dial, signer, recorder }: World, userId = 'u-ana'): Promise<Tape> {
  recorder.answer = (connection) => connection.send(watching)
  const caller = await dial()
  caller.send(requestOf(signer.token(userId), watchLine))
  await caller.until('\r\n\r\n')
  return caller
}

/** From here on: whoever a test needs has come in before, however slow its machine is. */
function hurry({ proxy }: World): void {
  within(proxy, { headMs: 50, idleMs: 50 })
}

function within({ limits, waits }: World['proxy'], wanted: { headMs: number; idleMs: number }) {
  const { headMs, idleMs } = wanted
  Object.assign(limits, { headMs, idleMs })
  Object.assign(waits, { head: new Patience(headMs), request: new Patience(idleMs) })
}

/** And back, for those who come now. */
function calm(proxy: World['proxy']): void {
  within(proxy, defaultLimits)
}

/** Until this many have been shown out who came and asked nothing, one after the other. */
async function outlast({ port }: World, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) await (await knock(port)).closed
}

const hello = '\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb\x03\x03x'
const quick = { headMs: 1_500, idleMs: defaultLimits.idleMs }

const silences: [string, (world: World) => Promise<string>][] = [
  ['a connection that never begins TLS', async ({ port }) => (await knock(port)).toEnd()],
  ['a handshake that comes byte by byte', async ({ port }) => dribble(await knock(port), hello)],
  ['a handshake without a request', async ({ dial }) => (await dial()).toEnd()],
  ['a head that comes byte by byte', async ({ dial }) => dribble(await dial(), 'GET /api HTTP/1.')],
  [
    'half a head of somebody who was let in before',
    async ({ dial, signer }) => {
      const caller = await dial()
      caller.send(requestOf(signer.token('u-ana')))
      const answer = await caller.until('ok')
      caller.send('GET /api HTTP/1.1\r\nHost: ')
      return (await caller.toEnd()).slice(answer.length)
    },
  ],
]

for (const [what, attack] of silences) {
  test(`D11, O2: ${what} is closed when its time is over, and its place is free`, async (t) => {
    const made = await world(t)
    const watcher = await watch(made)
    within(made.proxy, quick)
    made.recorder.answer = (connection) => connection.send(plainAnswer)
    assert.equal(await attack(made), '')
    assert.equal(made.proxy.places.closed.get('slow'), 1)
    assert.equal(made.proxy.places.open.get('stranger'), 0)
    await stillServes(made)
    assert.equal(made.streams.countOf('u-ana'), 1, 'an open watch has no such limit')
    watcher.socket.destroy()
  })
}

test('D11: bytes that are no TLS are closed, thousands of them', async (t) => {
  const made = await world(t)
  for (let round = 0; round < 20; round += 1) {
    const knocking = Array.from({ length: 100 }, async (_, n) => {
      const tape = await knock(made.port)
      tape.send(n % 2 === 0 ? 'GET / HTTP/1.1\r\n\r\n' : '\0\xff'.repeat(500))
      await tape.closed
    })
    await Promise.all(knocking)
  }
  await stillServes(made)
  assert.equal(made.proxy.places.open.get('stranger'), 0)
})

test('D11: a head longer than the setting is refused, in one piece or in many', async (t) => {
  const headBytes = 16 * 1024
  const made = await world(t, { headBytes })
  const headOf = (bytes: number) => {
    const rest = requestOf(made.signer.token('u-ana'), undefined, 'Accept: ')
    return rest.replace('Accept: ', `Accept: ${'x'.repeat(bytes - rest.length)}`)
  }
  const caller = await made.dial()
  caller.send(headOf(headBytes))
  await caller.until('ok')
  assert.match(await made.refused(headOf(headBytes + 1)), /^HTTP\/1\.1 431 [^]*16384 bytes at most/)
  const endless = await made.dial()
  endless.send(`GET / HTTP/1.1\r\nX: ${'x'.repeat(headBytes)}`)
  assert.match(await endless.toEnd(), /^HTTP\/1\.1 431 /)
  assert.equal(made.recorder.connections.length, 1)
})

test('D11: strangers who hold every place of theirs lock out nobody', async (t) => {
  const made = await world(t, { connections: 40, strangers: 20 })
  const { port, proxy, recorder, signer } = made
  const watches = await Promise.all([watch(made), watch(made), watch(made, 'u-bo')])
  recorder.answer = (connection) => connection.send(plainAnswer)
  const kept = await made.dial()
  kept.send(requestOf(signer.token('u-bo')))
  await kept.until('ok')
  const flood: Tape[] = []
  for (let n = 0; n < 200; n += 1) {
    flood.push(await knock(port, '127.0.0.2'))
    if (n % 50 === 0) await stillServes(made)
  }
  assert.ok((proxy.places.open.get('stranger') ?? 0) <= 20)
  const standing = flood.filter(({ socket }) => !socket.closed)
  assert.ok(standing.length > 0, 'the flood is still there')
  await stillServes(made)
  kept.send(requestOf(signer.token('u-bo')))
  await kept.until(/ok[^]*ok/)
  for (const { text, socket } of recorder.connections) {
    if (text.includes('watch=true')) socket.write('5\r\nevent\r\n')
  }
  await Promise.all(watches.map((caller) => caller.until('event')))
  for (const { socket } of [...flood, ...watches]) socket.destroy()
})

test('D11: connections are limited in all; open requests keep theirs, and a place that is left can be taken', async (t) => {
  const made = await world(t, { connections: 3 })
  const watches = [await watch(made), await watch(made), await watch(made, 'u-bo')]
  await assert.rejects(made.dial())
  assert.equal(made.proxy.places.closed.get('full'), 1)
  for (const { socket } of made.recorder.connections) socket.write('5\r\nevent\r\n')
  await Promise.all(watches.map((caller) => caller.until('event')))
  watches[0]?.socket.destroy()
  let next = await made.dial().catch(() => null)
  while (!next) next = await made.dial().catch(() => null)
  for (const { socket } of [...watches, next]) socket.destroy()
})

test('D11: whoever holds connections and asks nothing more loses the oldest to a newcomer', async (t) => {
  const made = await world(t, { connections: 3 })
  const { signer, proxy } = made
  const kept: Tape[] = []
  while (kept.length < 3) {
    const caller = await made.dial()
    caller.send(requestOf(signer.token('u-ana')))
    await caller.until('ok')
    kept.push(caller)
  }
  assert.deepEqual(Object.fromEntries(proxy.places.open), { stranger: 0, idle: 3, busy: 0 })
  const other = await made.dial()
  other.send(requestOf(signer.token('u-bo')))
  await other.until('ok')
  await kept[0]?.closed
  kept[2]?.send(requestOf(signer.token('u-ana')))
  await kept[2]?.until(/ok[^]*ok/)
  for (const { socket } of [...kept, other]) socket.destroy()
})

test('D11: a user at their own limit, with bodies that stand still, hinders no other', async (t) => {
  const made = await world(t, { streamsPerUser: 5 })
  const { recorder, signer, streams, refused } = made
  recorder.answer = () => {}
  const post = ['POST /api/v1/pods', 'Content-Length: 1000'] as const
  const stalled: Tape[] = []
  for (let n = 0; n < 5; n += 1) {
    const caller = await made.dial()
    caller.send(`${requestOf(signer.token('u-ana'), ...post)}half`)
    await (await recorder.connection(n)).until('half')
    stalled.push(caller)
  }
  const sixth = await refused(requestOf(signer.token('u-ana')))
  assert.match(sixth, /^HTTP\/1\.1 429 [^]*you have 5 requests open in this cluster/)
  assert.equal(recorder.connections.length, 5, 'refused before anybody was dialled')
  recorder.answer = (connection) => connection.send(plainAnswer)
  const other = await made.dial()
  other.send(requestOf(signer.token('u-bo')))
  await other.until('ok')
  assert.equal(streams.countOf('u-ana'), 5)
  stalled[0]?.socket.destroy()
  await (
    await recorder.connection(0)
  ).closed
  await stillServes(made)
})

test('D11: a body over a slow line goes on past every limit, and arrives whole', async (t) => {
  const made = await world(t)
  const { recorder, signer, dial } = made
  recorder.answer = () => {}
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana'), 'POST /api/v1/pods', 'Content-Length: 10'))
  const upstream = await recorder.connection(0)
  hurry(made)
  for (const byte of '0123456789') {
    caller.send(byte)
    await upstream.until(new RegExp(`${byte}$`))
    await outlast(made, 1)
  }
  await upstream.until(/\r\n\r\n0123456789$/)
  upstream.send(plainAnswer)
  await caller.until('ok')
})

test('D11: an API server that is silent, or answers byte by byte, is waited for while its caller waits', async (t) => {
  const made = await world(t)
  const { recorder, signer, dial, streams } = made
  recorder.answer = () => {}
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana'), 'GET /api/v1/namespaces/a/pods/b/log?follow=true'))
  const upstream = await recorder.connection(0)
  await upstream.until('\r\n\r\n')
  hurry(made)
  await outlast(made, 5)
  for (const byte of plainAnswer.slice(0, -1)) {
    upstream.send(byte)
    await new Promise(setImmediate)
  }
  await outlast(made, 1)
  upstream.send(plainAnswer.slice(-1))
  await caller.until('ok')
  // And no longer than that: its caller leaves, and nothing of it is left.
  calm(made.proxy)
  const impatient = await dial()
  impatient.send(requestOf(signer.token('u-ana')))
  await upstream.until(/\r\n\r\n[^]*\r\n\r\n$/)
  impatient.socket.destroy()
  await upstream.closed
  assert.equal(streams.count, 0)
})

test('D11: an API server that accepts and says nothing of TLS is given up', async (t) => {
  const made = await world(t, { dialMs: 2_000 })
  const { signer, target, refused } = made
  const { port, close } = await silentServer()
  t.after(close)
  made.target = { ...target, port }
  const answer = await refused(requestOf(signer.token('u-ana')))
  assert.match(answer, /^HTTP\/1\.1 502 [^]*can not be reached/)
  made.target = target
  await stillServes(made)
})

test('an API server that takes a request and never answers is given up with a sentence, but for what may take long', async (t) => {
  const made = await world(t, { answerMs: 300 })
  const { dial, recorder, signer, refused } = made
  recorder.answer = () => {}
  const token = signer.token('u-ana')
  const opened = async (request: string) => {
    const caller = await dial()
    caller.send(request)
    const upstream = await recorder.connection(recorder.connections.length)
    return { caller, upstream }
  }
  const patient = [
    await opened(requestOf(token, 'GET /api/v1/pods?watch=1')),
    await opened(requestOf(token, 'GET /api/v1/namespaces/web/pods/a/log')),
    await opened(requestOf(token, 'GET /api/v1/namespaces/web/services/a/proxy/slow')),
  ]
  const post = requestOf(token, 'POST /api/v1/namespaces/web/pods', 'Content-Length: 4')
  const sending = await opened(post)
  await sending.upstream.until(/\r\n\r\n/)
  sending.caller.send('ab')
  // Two of them: by the end of the second, all that is older is late.
  for (let times = 0; times < 2; times += 1) {
    const answer = await refused(requestOf(token))
    assert.match(answer, /^HTTP\/1\.1 504 [^]*"message":"the API server [a-z ]+ does not answer"/)
    assert.match(answer, /"reason":"Timeout"/)
  }
  assert.equal(made.streams.count, 4)
  sending.caller.send('cd')
  for (const { caller, upstream } of [...patient, sending]) {
    upstream.send(plainAnswer)
    await caller.until('ok')
  }
})

async function silentServer(): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Duplex>()
  const server = createServer((socket) => void sockets.add(socket.on('error', () => {}).resume()))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const close = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: typeof address === 'object' && address ? address.port : 0, close }
}

/** A caller's line on which nothing goes out until `release` is called. */
class Stuck extends Duplex {
  text = ''
  #waiting: (() => void)[] = []
  #isStuck = true

  override _read(): void {}

  override _write(bytes: Buffer, _: string, done: () => void): void {
    const take = () => {
      this.text += bytes.toString('latin1')
      done()
    }
    if (this.#isStuck) this.#waiting.push(take)
    else take()
  }

  release(): void {
    this.#isStuck = false
    for (const take of this.#waiting.splice(0)) take()
  }
}

async function unread(t: TestContext) {
  const made = await world(t)
  const stuck = new Stuck()
  const closed = new Promise((resolve) => stuck.once('close', resolve))
  const place = made.proxy.places.take('127.0.0.9', () => stuck.destroy())
  assert.ok(place)
  const served = made.proxy.serve(stuck, { address: '127.0.0.9', place })
  const answered = new Promise<void>((resolve) => {
    made.recorder.answer = (connection) => {
      connection.send(plainAnswer)
      resolve()
    }
  })
  stuck.push(requestOf(made.signer.token('u-ana')))
  await answered
  hurry(made)
  // Shown out after the whole answer has come back: the connection to the API server is kept.
  await outlast(made, 3)
  return { ...made, stuck, closed, served }
}

test('D11: an answer that is not read is an open request: counted, and cut with its access', async (t) => {
  const { streams, access, grant, closed, served, stuck } = await unread(t)
  assert.equal(streams.countOf('u-ana'), 1)
  grant(accessTo({ grants: [grantOf(user('u-bo'), 'edit')] }))
  assert.equal(streams.recheck(access), 1)
  await closed
  await served
  assert.equal(stuck.text, '')
})

test('D11: whoever reads late has the whole answer: no limit of time cuts its end', async (t) => {
  const { stuck, served, streams, proxy } = await unread(t)
  assert.equal(proxy.places.open.get('busy'), 1)
  stuck.release()
  await served
  assert.equal(stuck.text, plainAnswer)
  assert.equal(streams.count, 0)
})

for (const [what, piece, most] of [
  ['in bytes', 'x'.repeat(16 * 1024), 8],
  // Each costs more than the byte that it holds.
  ['in pieces', 'x', 100],
] as const) {
  test(`D11: what waits to be read is bounded ${what}`, async () => {
    const stuck = new Stuck({ readableHighWaterMark: 1 })
    const side = new Side(stuck)
    let sent = 0
    while (sent < 10_000 && !stuck.isPaused()) {
      stuck.push(piece)
      sent += 1
      await new Promise(setImmediate)
    }
    assert.ok(sent <= most, `${sent} pieces were kept`)
    for (let read = 0; read < sent; read += 1) assert.equal((await side.read())?.toString(), piece)
    assert.ok(!stuck.isPaused(), 'there is room again')
    stuck.destroy()
  })
}

test('D11: a handshake that is begun and left, over and over, leaves nothing', async (t) => {
  const made = await world(t, { headMs: 2_000 })
  for (let round = 0; round < 20; round += 1) {
    const coming = Array.from({ length: 20 }, async (_, n) => {
      if (n % 3 === 0) return (await made.dial().catch(() => null))?.socket.destroy()
      if (n % 3 === 1) return (await knock(made.port)).socket.end()
      const socket = tls.connect({ host: '127.0.0.1', port: made.port, rejectUnauthorized: false })
      await new Promise((resolve) => socket.on('error', () => {}).once('connect', resolve))
      socket.destroy()
    })
    await Promise.all(coming)
  }
  while (made.proxy.places.open.get('stranger')) await new Promise(setImmediate)
  await stillServes(made)
})
