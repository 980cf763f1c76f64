import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { fieldOf } from '../disk/unknown.ts'
import { type Callback, Loopback } from './loopback.ts'

const anyPort = { provider: 'okta', host: '127.0.0.1', ports: [0] } as const
const long = 60_000
const nobody = new AbortController().signal

type Answer = { status: number; headers: Record<string, unknown>; body: string }

async function opened(t: TestContext): Promise<{ loopback: Loopback; port: number }> {
  const loopback = await Loopback.open(anyPort)
  t.after(() => loopback.close())
  return { loopback, port: Number(new URL(loopback.redirectUri).port) }
}

async function ask(
  port: number,
  path: string,
  options: { method?: string; host?: string } = {},
): Promise<Answer> {
  const headers = { host: options.host ?? `127.0.0.1:${port}` }
  const asked = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method: options.method ?? 'GET',
    headers,
  })
  asked.end()
  const response = await new Promise<IncomingMessage>((resolve) => asked.on('response', resolve))
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}

async function finished(callback: Callback, isLoggedIn: boolean): Promise<string> {
  await callback.show({ isLoggedIn, sentence: 'the <server> says so' })
  return callback.query
}

test('the callback of this login ends the wait, and its page waits for the outcome', async (t) => {
  const { loopback, port } = await opened(t)
  assert.equal(loopback.redirectUri, `http://127.0.0.1:${port}/callback/okta`)
  const arrived = loopback.callback('s1', long, nobody)
  const page = ask(port, '/callback/okta?code=a%2Fb&state=s1&iss=x')
  const callback = await arrived
  assert.equal(callback.query, 'code=a%2Fb&state=s1&iss=x')
  await finished(callback, true)
  const { status, body, headers } = await page
  assert.equal(status, 200)
  assert.match(body, /You are logged in/)
  assert.match(body, /the &#60;server&#62; says so/)
  assert.match(String(headers['content-security-policy']), /^default-src 'none'/)
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['access-control-allow-origin'], undefined)
  assert.equal(String(headers['connection']).toLowerCase(), 'close')
})

test('a login that the server refuses is shown as refused', async (t) => {
  const { loopback, port } = await opened(t)
  const arrived = loopback.callback('s1', long, nobody)
  const page = ask(port, '/callback/okta?error=access_denied&state=s1')
  await finished(await arrived, false)
  const { status, body } = await page
  assert.equal(status, 403)
  assert.match(body, /You are not logged in/)
})

test('a browser that is gone before its page holds up no login', async (t) => {
  const { loopback, port } = await opened(t)
  const arrived = loopback.callback('s1', long, nobody)
  const browser = connect(port, '127.0.0.1')
  await once(browser, 'connect')
  browser.write(`GET /callback/okta?code=x&state=s1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  const callback = await arrived
  browser.destroy()
  await once(browser, 'close')
  // Another request is answered after that end was seen, and nobody can hear of it any more.
  await ask(port, '/')
  await finished(callback, true)
})

test('L5: whatever is not this callback is refused, and ends nothing', async (t) => {
  const { loopback, port } = await opened(t)
  const early = await ask(port, '/callback/okta?code=x&state=s1')
  assert.equal(early.status, 400, 'before the login has begun')
  const arrived = loopback.callback('s1', long, nobody)
  const good = '/callback/okta?code=x&state=s1'
  const refused: [string, number, { method?: string; host?: string }][] = [
    ['/', 404, {}],
    ['/callback/oktb?code=x&state=s1', 404, {}],
    ['/callback/okta/?code=x&state=s1', 404, {}],
    ['//callback/okta?code=x&state=s1', 404, {}],
    ['/callback/%6fkta?code=x&state=s1', 404, {}],
    ['/callback/okta', 400, {}],
    ['/callback/okta?code=x', 400, {}],
    ['/callback/okta?code=x&state=s2', 400, {}],
    ['/callback/okta?code=x&state=s1&state=s1', 400, {}],
    [`/callback/okta?code=${'x'.repeat(9000)}&state=s1`, 400, {}],
    [good, 405, { method: 'POST' }],
    [good, 405, { method: 'OPTIONS' }],
    [good, 400, { host: `localhost:${port}` }],
    [good, 400, { host: 'evil.example.com' }],
    [good, 400, { host: '127.0.0.1' }],
  ]
  for (const [path, status, options] of refused) {
    const answer = await ask(port, path, options)
    assert.equal(answer.status, status, `${path} ${JSON.stringify(options)}`)
    assert.equal(answer.headers['access-control-allow-origin'], undefined)
  }
  const page = ask(port, good)
  assert.equal(await finished(await arrived, true), 'code=x&state=s1')
  await page
})

test('L5: a second callback finds no login waiting', async (t) => {
  const { loopback, port } = await opened(t)
  const arrived = loopback.callback('s1', long, nobody)
  const page = ask(port, '/callback/okta?code=x&state=s1')
  const callback = await arrived
  const second = await ask(port, '/callback/okta?code=y&state=s1')
  assert.equal(second.status, 400)
  await finished(callback, true)
  await page
})

test('L5: once closed, nothing listens', async (t) => {
  const { loopback, port } = await opened(t)
  loopback.close()
  const socket = connect(port, '127.0.0.1')
  const [error] = await once(socket, 'error')
  assert.equal(fieldOf(error, 'code'), 'ECONNREFUSED')
})

test('a browser that leaves before the outcome does not hold the login up', async (t) => {
  const { loopback, port } = await opened(t)
  const arrived = loopback.callback('s1', long, nobody)
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET /callback/okta?code=x&state=s1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  const callback = await arrived
  socket.destroy()
  await once(socket, 'close')
  await callback.show({ isLoggedIn: true, sentence: 'nobody reads this' })
})

test('the second port is taken where the first is in use, and a sentence says so where both are', async (t) => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  t.after(() => blocker.close())
  const busy = Number(fieldOf(blocker.address(), 'port'))
  const loopback = await Loopback.open({ ...anyPort, ports: [busy, 0] })
  t.after(() => loopback.close())
  assert.notEqual(new URL(loopback.redirectUri).port, String(busy))
  await assert.rejects(Loopback.open({ ...anyPort, ports: [busy, busy] }), {
    code: 'conflict',
    message: /^the ports \d+ and \d+ of this machine are in use/,
  })
})

test('a provider set to localhost is redirected there, and the listener answers to that name only', async (t) => {
  const loopback = await Loopback.open({ ...anyPort, host: 'localhost' })
  t.after(() => loopback.close())
  const port = Number(new URL(loopback.redirectUri).port)
  assert.equal(loopback.redirectUri, `http://localhost:${port}/callback/okta`)
  const arrived = loopback.callback('s1', long, nobody)
  const wrong = await ask(port, '/callback/okta?code=x&state=s1')
  assert.equal(wrong.status, 400)
  const page = ask(port, '/callback/okta?code=x&state=s1', { host: `localhost:${port}` })
  await finished(await arrived, true)
  await page
})

test('nobody coming back in time, and Ctrl-C, each end the wait with a sentence', async (t) => {
  const { loopback } = await opened(t)
  await assert.rejects(loopback.callback('s1', 1, nobody), { code: 'expired', message: /in time$/ })
  const interrupted = new AbortController()
  const waiting = loopback.callback('s2', long, interrupted.signal)
  interrupted.abort()
  await assert.rejects(waiting, { code: 'invalid', message: 'the login was interrupted' })
})
