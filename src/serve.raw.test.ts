/**
 * Bytes sent to the server's own listener, the same on Bun and on Node: whatever they are, they are
 * answered or refused, and the process serves on.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import WebSocket from 'ws'
import { type World, world } from '../test/world.ts'
import { stored } from './app.fixtures.ts'
import { serve } from './serve.ts'

type Served = { w: World; port: number }

async function served(t: TestContext): Promise<Served> {
  const w = await world(t)
  const serving = await serve({ host: '127.0.0.1', port: 0, tls: null, app: w.app })
  t.after(() => serving.close())
  return { w, port: serving.port }
}

/** Sends bytes, and gives all that comes until the other end closes. */
async function send(port: number, bytes: string, more?: (socket: Socket) => void): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  // A connection may be reset while bytes are on their way: what was received counts.
  socket.on('error', () => {})
  let received = ''
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
  const closed = new Promise<unknown>((resolve) => socket.on('close', resolve))
  socket.write(bytes)
  more?.(socket)
  await closed
  return received
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0)

function head(line: string, headers: string[] = [], body = ''): string {
  return `${[`${line} HTTP/1.1`, 'Host: server', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n${body}`
}

async function serves({ w, port }: Served): Promise<void> {
  const answer = await send(
    port,
    head('GET /api/me', [`Authorization: Bearer ${w.admin.credential}`]),
  )
  assert.equal(statusOf(answer), 200)
}

const upgrade = (credential: string) => [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', `Authorization: Bearer ${credential}`],
]

test('two Authorization headers prove nobody, in a request and in an upgrade', async (t) => {
  const { w, port } = await served(t)
  const ana = await w.user('ana@example.com')
  const two = [w.admin.credential, ana.credential].map((one) => `Authorization: Bearer ${one}`)
  for (const headers of [two, two.toReversed()]) {
    assert.equal(statusOf(await send(port, head('GET /api/users', headers))), 401)
  }
  const lines = ['GET /api/events HTTP/1.1', 'Host: server', ...upgrade(w.admin.credential), two[1]]
  assert.equal(statusOf(await firstOf(port, `${lines.join('\r\n')}\r\n\r\n`)), 401)
})

/** What comes first; the connection may stay. */
async function firstOf(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(bytes)
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return chunk.toString('latin1')
}

test('L13: an upgrade that names our origin and another one is refused, with the same headers as any answer', async (t) => {
  const { w, port } = await served(t)
  const origins = [w.settings.url, 'https://evil.example'].map((one) => `Origin: ${one}`)
  for (const two of [origins, origins.toReversed()]) {
    const lines = [
      'GET /api/events HTTP/1.1',
      'Host: server',
      ...upgrade(w.admin.credential),
      ...two,
    ]
    const answer = await firstOf(port, `${lines.join('\r\n')}\r\n\r\n`)
    assert.equal(statusOf(answer), 403)
    assert.match(answer, /^x-content-type-options: nosniff\r$/im)
    assert.match(answer, /^content-type: application\/json/im)
  }
})

/** What no strict reader takes for a request, or takes for none of ours. */
const refused: Record<string, string> = {
  'no host': 'GET /api/users HTTP/1.1\r\nConnection: close\r\n\r\n',
  'a host that is none': 'GET /api/users HTTP/1.1\r\nHost: a/../b@c\r\nConnection: close\r\n\r\n',
  'HTTP/1.0 without a host, whose path begins elsewhere': 'GET /xx/api/login HTTP/1.0\r\n\r\n',
  'HTTP/0.9': 'GET /api/login\r\n\r\n',
  'a preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'bytes of TLS': '\x16\x03\x01\x00\xff\x01\x00',
  'bare line feeds': 'GET /api/login HTTP/1.1\nHost: server\nConnection: close\n\n',
  'another server asked for': head('CONNECT evil.example:80'),
  'an asterisk': head('OPTIONS *'),
  TRACE: head('TRACE /api/login'),
  'a method that is none': head('FOO /api/login'),
  'a folded header': head('GET /api/login', ['A: b', ' c']),
  'a space before the colon': head('GET /api/login', ['Authorization : Bearer a']),
  'a NUL in a header': head('GET /api/login', ['A: b\0c']),
  'a header of 100,000 bytes': head('GET /api/login', [`A: ${'x'.repeat(100_000)}`]),
  '5,000 headers': head(
    'GET /api/login',
    Array.from({ length: 5000 }, () => 'A: x'),
  ),
  'a path of 100,000 bytes': head(`GET /api/login/${'x'.repeat(100_000)}`),
  'two lengths': head('POST /api/login/password', ['Content-Length: 1', 'Content-Length: 2'], 'ab'),
  'a list of lengths': head('POST /api/login/password', ['Content-Length: 2, 2'], '{}'),
  'a signed length': head('POST /api/login/password', ['Content-Length: +2'], '{}'),
  'a length and chunks': head(
    'POST /api/login/password',
    ['Content-Length: 2', 'Transfer-Encoding: chunked'],
    '0\r\n\r\n',
  ),
  'a coding that is not chunked': head(
    'POST /api/login/password',
    ['Transfer-Encoding: xchunked'],
    '0\r\n\r\n',
  ),
  'a negative chunk': head(
    'POST /api/login/password',
    ['Transfer-Encoding: chunked'],
    '-1\r\n\r\n',
  ),
  'a chunk beyond all numbers': head(
    'POST /api/login/password',
    ['Transfer-Encoding: chunked'],
    'fffffffffffffffff\r\n\r\n',
  ),
}

test('what is no request is refused or cut, does nothing, and the server serves on', async (t) => {
  const { w, port } = await served(t)
  const before = await stored(w)
  for (const [what, bytes] of Object.entries(refused)) {
    const status = statusOf(await send(port, bytes))
    assert.ok(
      status === 0 || (status >= 400 && status <= 505 && status !== 500),
      `${what}: ${status}`,
    )
  }
  assert.deepEqual(await stored(w), before)
  await serves({ w, port })
})

/** Pours until the other end closes; gives how much it took. */
async function pour(port: number, start: string, chunk: string): Promise<[string, number]> {
  let poured = 0
  const answer = await send(port, start, (socket) => {
    const on = (): void => {
      if (socket.destroyed) return
      poured += chunk.length
      socket.write(chunk, (error) => {
        if (!error) setImmediate(on)
      })
    }
    on()
  })
  return [answer, poured]
}

test('S2: a body without an end is cut, read or unread, whoever sends it', async (t) => {
  const { w, port } = await served(t)
  const json = 'Content-Type: application/json'
  const chunk = 'x'.repeat(65_536)
  const framed = `10000\r\n${chunk}\r\n`
  const admin = `Authorization: Bearer ${w.admin.credential}`
  const lines: [string, string[]][] = [
    ['POST /api/login/password', [json]],
    ['POST /api/users', [json]],
    ['POST /api/users', [json, admin]],
    ['POST /api/none', [json]],
    ['GET /healthz', []],
    ['GET /api/me', [admin]],
    ['POST /api/groups', [json, admin, 'Origin: https://evil.example']],
  ]
  for (const [line, headers] of lines) {
    const start = (length: string) =>
      [`${line} HTTP/1.1`, 'Host: server', ...headers, length].join('\r\n') + '\r\n\r\n'
    for (const [length, each] of [
      ['Transfer-Encoding: chunked', framed],
      ['Content-Length: 100000000000', chunk],
    ] as const) {
      const [answer, poured] = await pour(port, start(length), each)
      assert.ok(poured < 64 * 1024 * 1024, `${line} ${length}: ${poured} bytes`)
      // A reset may overtake the answer.
      assert.ok([0, 200, 400, 401, 403, 404].includes(statusOf(answer)), `${line}: ${answer}`)
    }
  }
  assert.deepEqual(await w.client.groups.list(), [])
  await serves({ w, port })
})

test('D11, S2: heads that do not end, and connections that say nothing, are let go', async (t) => {
  const { w, port } = await served(t)
  const beginnings = [
    '',
    'GET /api/login HTTP/1.1\r\n',
    'POST /api/login HTTP/1.1\r\nHost: a\r\nA: ',
  ]
  const dripping = (socket: Socket) => {
    const timer = setInterval(() => socket.write('x'), 1000)
    socket.on('close', () => clearInterval(timer))
  }
  const slow = beginnings.map((bytes) => send(port, bytes))
  slow.push(send(port, beginnings[2] ?? '', dripping))
  for (const answer of await Promise.all(slow))
    assert.ok([0, 408].includes(statusOf(answer)), answer)
  await serves({ w, port })
})

test('S2: two hundred requests that do not end keep nobody out', async (t) => {
  const { w, port } = await served(t)
  const start = 'POST /api/login/password HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'
  const sockets = Array.from({ length: 200 }, () => connect(port, '127.0.0.1'))
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  for (const socket of sockets) {
    socket.on('error', () => {})
    socket.write(`${start}Content-Length: 200000\r\n\r\n{"email":"`)
  }
  for (let turn = 0; turn < 5; turn += 1) await serves({ w, port })
})

test('S2: no compression is agreed to, and a first message before hello ends the link', async (t) => {
  const { w, port } = await served(t)
  const { accessKey } = await w.client.destinations.create({ name: 'prod' })
  const headers = { authorization: `Bearer ${accessKey}` }
  const ws = new WebSocket(`ws://127.0.0.1:${port}/api/link`, { headers, perMessageDeflate: true })
  await once(ws, 'open')
  assert.equal(ws.extensions, '')
  ws.send('{"kind":"ping","id":1}')
  const [code] = (await once(ws, 'close')) as [number]
  assert.equal(code, 1008)
})

test('S2: nothing is read of whoever opens a WebSocket without a credential, and bytes behind it are no message', async (t) => {
  const { w, port } = await served(t)
  const lines = ['GET /api/link HTTP/1.1', 'Host: server', ...upgrade('x.y')]
  // A masked text frame: {} as if the link stood already.
  const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x7b, 0x7d]).toString('latin1')
  const answer = await firstOf(port, `${lines.join('\r\n')}\r\n\r\n${frame}`)
  assert.equal(statusOf(answer), 401)
  await serves({ w, port })
})

test('S2: a frame that announces more than a message may have, and ten thousand frames, end one link and no other', async (t) => {
  const { w, port } = await served(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  const open = async () => {
    const headers = { authorization: `Bearer ${prod.accessKey}` }
    const ws = new WebSocket(`ws://127.0.0.1:${port}/api/link`, { headers })
    ws.on('error', () => {})
    await once(ws, 'open')
    return ws
  }
  const other = await open()
  const known = { epoch: null, revision: null, endpoint: null }
  other.send(JSON.stringify({ kind: 'hello', instance: 'two', version: '1', ...known }))
  await once(other, 'message')
  const lines = ['GET /api/link HTTP/1.1', 'Host: server', ...upgrade(prod.accessKey)]
  const announcing = Buffer.from([0x81, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])
  const answer = await send(port, `${lines.join('\r\n')}\r\n\r\n`, (socket) =>
    socket.once('data', () => socket.write(announcing)),
  )
  assert.equal(statusOf(answer), 101)
  const many = await open()
  const over = once(many, 'close')
  for (let at = 0; at < 10_000; at += 1)
    many.send('{"kind":"ack","epoch":"x","revision":1,"severed":0}')
  await over
  other.send('{"kind":"ping","id":7}')
  const [beat] = (await once(other, 'message')) as [Buffer]
  assert.equal((JSON.parse(beat.toString()) as { id: unknown }).id, 7)
  other.terminate()
  await serves({ w, port })
})
