/** The loopback listener, attacked by its bytes: by any web page, and by any user of this machine. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { test, type TestContext } from 'node:test'
import { fieldOf } from '../disk/unknown.ts'
import { type Callback, Loopback } from './loopback.ts'

const long = 60_000
const nobody = new AbortController().signal
const good = '/callback/okta?code=x&state=s1'

type Waiting = {
  port: number
  arrived: Promise<Callback>
  heard: () => boolean
  loopback: Loopback
}

async function waiting(t: TestContext): Promise<Waiting> {
  const loopback = await Loopback.open({ provider: 'okta', host: '127.0.0.1', ports: [0] })
  t.after(() => loopback.close())
  let isHeard = false
  const arrived = loopback.callback('s1', long, nobody)
  void arrived.then(() => (isHeard = true))
  const port = Number(new URL(loopback.redirectUri).port)
  return { loopback, port, arrived, heard: () => isHeard }
}

/** Sends bytes, and gives all that comes back until the connection is over. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += String(chunk)))
  // A connection that is reset is an answer too.
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.end(bytes)
  await closed
  return text
}

async function finished({ port, arrived }: Waiting): Promise<string> {
  const page = raw(port, `GET ${good} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  const callback = await arrived
  await callback.show({ isLoggedIn: true, sentence: 'done' })
  assert.match(await page, /^HTTP\/1\.1 200 /)
  return callback.query
}

test('L5: bytes that are not this request exactly end nothing, and the login goes on', async (t) => {
  const listener = await waiting(t)
  const host = `Host: 127.0.0.1:${listener.port}\r\n`
  const attacks = [
    `GET ${good} HTTP/1.1\r\n\r\n`,
    `GET ${good} HTTP/1.0\r\n\r\n`,
    `GET ${good}\r\n`,
    `GET ${good} HTTP/1.1\r\n${host}Host: evil.example.com\r\n\r\n`,
    `GET ${good} HTTP/1.1\r\nHost: evil.example.com\r\n${host}\r\n`,
    `GET ${good} HTTP/1.1\r\nHost: 127.0.0.1:${listener.port}.evil.example.com\r\n\r\n`,
    `GET ${good} HTTP/1.1\r\nHost: evil@127.0.0.1:${listener.port}\r\n\r\n`,
    `GET ${good} HTTP/1.1\r\nHost: 127.1:${listener.port}\r\n\r\n`,
    `GET ${good} HTTP/1.1\r\nHost: 2130706433:${listener.port}\r\n\r\n`,
    `GET ${good} HTTP/1.1\r\nHost: [::1]:${listener.port}\r\n\r\n`,
    `GET ${good} HTTP/1.1\r\nHost: rebind.evil.example.com:${listener.port}\r\nX-Forwarded-Host: 127.0.0.1:${listener.port}\r\n\r\n`,
    `GET http://evil.example.com${good} HTTP/1.1\r\nHost: evil.example.com\r\n\r\n`,
    `GET /x/../callback/okta?code=x&state=s1 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback/./okta?code=x&state=s1 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback\\okta?code=x&state=s1 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback/okta;x?code=x&state=s1 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback/okta%00?code=x&state=s1 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback/okta%3Fcode=x&state=s1 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback/okta?code=x&State=s1 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback/okta?code=x&state=s1%00 HTTP/1.1\r\n${host}\r\n`,
    `GET /callback/okta?code=x&state[]=s1 HTTP/1.1\r\n${host}\r\n`,
    `HEAD ${good} HTTP/1.1\r\n${host}\r\n`,
    `POST ${good} HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`,
    `POST ${good} HTTP/1.1\r\n${host}X-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n\r\n`,
    `OPTIONS ${good} HTTP/1.1\r\n${host}Origin: https://evil.example.com\r\nAccess-Control-Request-Private-Network: true\r\n\r\n`,
    `CONNECT 127.0.0.1:${listener.port} HTTP/1.1\r\n${host}\r\n`,
    `GET ${good} HTTP/1.1\r\n${host}X: ${'x'.repeat(100_000)}\r\n\r\n`,
    `GET ${good}&x=${'x'.repeat(100_000)} HTTP/1.1\r\n${host}\r\n`,
    `GET ${good} HTTP/1.1\r\n${host}${Array.from({ length: 5000 }, (_, at) => `X${at}: y\r\n`).join('')}\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  ]
  for (const bytes of attacks) {
    const answer = await raw(listener.port, bytes)
    assert.doesNotMatch(answer, /^HTTP\/1\.1 2|access-control-|You are/i, bytes.slice(0, 200))
    assert.equal(listener.heard(), false, bytes.slice(0, 200))
  }
  assert.equal(await finished(listener), 'code=x&state=s1')
})

test('L5: of two callbacks in one connection the second finds no login, and a wrong state before ends none', async (t) => {
  const listener = await waiting(t)
  const { port } = listener
  const line = (query: string): string =>
    `GET /callback/okta?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`
  await raw(port, line('code=stolen&state=guess') + line('code=stolen&state=s2'))
  assert.equal(listener.heard(), false)
  assert.equal(await finished(listener), 'code=x&state=s1')
  assert.match(await raw(port, line('code=second&state=s1')), /^HTTP\/1\.1 400 /)
})

test('L5: hundreds of connections that say nothing, or half a head, hold the login up in nothing', async (t) => {
  const listener = await waiting(t)
  const idle: Socket[] = Array.from({ length: 300 }, () => connect(listener.port, '127.0.0.1'))
  t.after(() => idle.forEach((socket) => socket.destroy()))
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  for (const socket of idle) socket.on('error', () => {}).write(`GET ${good} HTTP/1.1\r\nHost: `)
  assert.equal(await finished(listener), 'code=x&state=s1')
  // Closed with everything that was open, so that the process can end.
  const closed = Promise.all(idle.map((socket) => once(socket, 'close')))
  listener.loopback.close()
  await closed
})

test('L5: no address but the loopback one is listened at', async (t) => {
  const { port } = await waiting(t)
  const others = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, scopeid }) => address !== '127.0.0.1' && !scopeid)
    .map(({ address }) => address)
  for (const address of [...others, '127.0.0.2']) {
    const [error] = await once(connect(port, address), 'error')
    assert.match(
      String(fieldOf(error, 'code')),
      /^(ECONNREFUSED|EADDRNOTAVAIL|ENETUNREACH|EHOSTUNREACH)$/,
      address,
    )
  }
})
