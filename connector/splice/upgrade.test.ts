import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tape } from '../far-ends.fixtures.ts'
import { requestOf, world, type World } from '../fixtures.ts'

const exec = 'GET /api/v1/namespaces/web/pods/a/exec?command=sh'
const toWebSocket = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
]
const switched =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** A shell that is open: both its ends. */
async function opened({
  dial,
  recorder,
  signer,
}: World): Promise<{ caller: Tape; upstream: Tape }> {
  recorder.answer = (connection, head) => {
    if (head.includes('Upgrade: ')) connection.send(switched)
  }
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana'), exec, ...toWebSocket))
  await caller.until('\r\n\r\n')
  return { caller, upstream: await recorder.connection(0) }
}

test('an upgrade joins the two ends, bytes of any kind in both directions', async (t) => {
  const made = await world(t)
  const { caller, upstream } = await opened(made)
  assert.match(
    caller.text,
    /^HTTP\/1\.1 101 [^]*Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/,
  )
  for (const line of toWebSocket) assert.ok(upstream.text.includes(`${line}\r\n`), line)
  caller.send('ls\0\r\n\r\n\xff')
  await upstream.until('ls\0\r\n\r\n\xff')
  upstream.send('\0\x01file\xfe')
  await caller.until('\0\x01file\xfe')
})

test('SPDY/3.1 by POST, with its protocol versions a line each', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = (connection) => connection.send(switched.replace('websocket', 'SPDY/3.1'))
  const caller = await dial()
  const versions = [
    'X-Stream-Protocol-Version: v5.channel.k8s.io',
    'X-Stream-Protocol-Version: v4.channel.k8s.io',
  ]
  const lines = ['Content-Length: 0', 'Connection: Upgrade', 'Upgrade: SPDY/3.1', ...versions]
  caller.send(requestOf(signer.token('u-ana'), exec.replace('GET', 'POST'), ...lines))
  await caller.until('Upgrade: SPDY/3.1\r\n\r\n')
  for (const line of versions) assert.ok(recorder.text.includes(`${line}\r\n`))
})

test('one direction may end before the other', async (t) => {
  const { caller, upstream } = await opened(await world(t))
  upstream.onEnd = () => {}
  caller.socket.end('last words')
  await upstream.until('last words')
  await new Promise((resolve) => upstream.socket.once('end', resolve))
  upstream.send('and the answer')
  await caller.until('and the answer')
  upstream.socket.end()
  await Promise.all([caller.closed, upstream.closed])
})

test('either end that breaks ends the other', async (t) => {
  for (const which of ['caller', 'upstream'] as const) {
    const ends = await opened(await world(t))
    ends[which].socket.destroy()
    await Promise.all([ends.caller.closed, ends.upstream.closed])
  }
})

test('an end that does not let go is let go of', async (t) => {
  const { caller, upstream } = await opened(await world(t))
  caller.onEnd = () => {}
  upstream.socket.destroy()
  // Only by writing does it notice that nobody is there any more.
  const pushing = setInterval(() => caller.send('anybody?'), 50)
  await caller.closed
  clearInterval(pushing)
})

test('what the caller sends right behind its upgrade comes after the 101', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = () => {}
  const caller = await dial()
  caller.send(`${requestOf(signer.token('u-ana'), exec, ...toWebSocket)}early`)
  const upstream = await recorder.connection(0)
  await upstream.until('\r\n\r\n')
  assert.doesNotMatch(upstream.text, /early/)
  upstream.send(switched)
  await upstream.until('early')
})

// prettier-ignore
const refusals: [string, RegExp][] = [
  ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno', /^HTTP\/1\.1 200 [^]*no$/],
  ['HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', /^HTTP\/1\.1 403 [^]*no$/],
  ['HTTP/1.1 426 Upgrade Required\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno', /^HTTP\/1\.1 426 [^]*no$/],
  ['HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n', /^HTTP\/1\.1 500 [^]*no\r\n0\r\n\r\n$/],
  ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n', /^HTTP\/1\.1 502 /],
  ['HTTP/1.1 101 Switching Protocols\r\n\r\n', /^HTTP\/1\.1 502 /],
  ['garbage\r\n\r\n', /^HTTP\/1\.1 502 /],
]

test('D8: an upgrade that is not granted leaves no pipe to the API server', async (t) => {
  const { dial, recorder, signer } = await world(t)
  const smuggled = 'GET /api/v1/secrets HTTP/1.1\r\nHost: a\r\nImpersonate-User: root\r\n\r\n'
  for (const [answer, expected] of refusals) {
    recorder.answer = (connection) => connection.send(answer)
    const caller = await dial()
    caller.onEnd = () => {
      caller.send(smuggled)
      caller.socket.end()
    }
    caller.send(requestOf(signer.token('u-ana'), exec, ...toWebSocket) + smuggled)
    const text = await caller.toEnd()
    assert.match(text, expected)
    assert.match(text, /^Connection: close\r$/m)
    assert.doesNotMatch(text, /Upgrade: h2c/)
    const upstream = recorder.connections.at(-1)
    await upstream?.closed
    assert.doesNotMatch(upstream?.text ?? '', /secrets/, answer)
  }
  assert.equal(recorder.connections.length, refusals.length, 'and none is used again')
})

test('D8: while an upgrade is not answered, nothing passes', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = () => {}
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana'), exec, ...toWebSocket))
  const upstream = await recorder.connection(0)
  await upstream.until('\r\n\r\n')
  const before = upstream.text
  caller.send('GET /api/v1/secrets HTTP/1.1\r\n\r\n')
  // The caller gives up; by then all it sent has been read.
  caller.socket.end()
  await Promise.all([upstream.closed, caller.closed])
  assert.equal(upstream.text, before)
})

// prettier-ignore
const halves: [string, string[]][] = [
  [exec, ['Upgrade: websocket']],
  [exec, ['Connection: Upgrade']],
  [exec, ['Connection: Upgrade', 'Upgrade: h2c']],
  [exec, ['Connection: Upgrade', 'Upgrade: websocket, h2c']],
  [exec, ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA']],
  [exec, ['Connection: Upgrade', 'Upgrade: TLS/1.0']],
  [exec.replace('GET', 'PUT'), ['Connection: Upgrade', 'Upgrade: websocket']],
  [exec.replace('GET', 'POST'), ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'Content-Length: 3']],
  [exec.replace('GET', 'POST'), ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'Transfer-Encoding: chunked']],
]

test('D8: half an upgrade, or one to another protocol, is refused', async (t) => {
  const { refused, recorder, signer } = await world(t)
  for (const [line, more] of halves) {
    const answer = await refused(requestOf(signer.token('u-ana'), line, ...more))
    assert.match(answer, /^HTTP\/1\.1 400 /, more.join(' | '))
  }
  assert.equal(recorder.text, '')
})
