import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainAnswer, type Tape } from '../far-ends.fixtures.ts'
import { certificateFor, requestOf, world } from '../fixtures.ts'

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const chunkedHead = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const readFile = 'GET /api/v1/namespaces/web/pods/a/log?follow=true'

test('a watch: the head comes at once, and each chunk when it is sent', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = (connection) => connection.send(chunkedHead)
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana'), readFile))
  await caller.until('\r\n\r\n')
  const upstream = await recorder.connection(0)
  for (const line of ['one\n', 'two\n', 'three\n']) {
    upstream.send(chunk(line))
    await caller.until(line)
  }
  upstream.send('0\r\n\r\n')
  await caller.until('0\r\n\r\n')
  recorder.answer = (connection) => connection.send(plainAnswer)
  caller.send(requestOf(signer.token('u-ana')))
  await caller.until('ok')
  assert.equal(recorder.connections.length, 1)
})

test('bodies pass on as they came, counted or chunked', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = () => {}
  const token = signer.token('u-ana')
  const caller = await dial()
  for (const [framing, pieces] of [
    ['Content-Length: 10', ['01234', '56789']],
    ['Transfer-Encoding: chunked', ['5\r\n012', '34\r\n', '5\r\n56789\r\n0\r\n', '\r\n']],
  ] as const) {
    caller.send(requestOf(token, 'POST /api/v1/pods', framing))
    const upstream = await recorder.connection(0)
    await upstream.until(`${framing}\r\n\r\n`)
    for (const piece of pieces) {
      caller.send(piece)
      await upstream.until(piece)
    }
    caller.text = ''
    upstream.send(plainAnswer)
    await caller.until('ok')
    assert.ok(upstream.text.endsWith(pieces.join('')))
  }
  assert.equal(recorder.connections.length, 1)
})

test('requests that were pipelined are answered in turn', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = () => {}
  const token = signer.token('u-ana')
  const caller = await dial()
  caller.send(requestOf(token, 'GET /first') + requestOf(token, 'GET /second'))
  const upstream = await recorder.connection(0)
  await upstream.until('GET /first')
  assert.doesNotMatch(upstream.text, /second/)
  upstream.send(plainAnswer)
  await upstream.until('GET /second')
  upstream.send(plainAnswer.replace('ok', 'go'))
  assert.match(await caller.until(/ok[^]*go/), /ok[^]*go/)
})

test('a kept connection carries one user only', async (t) => {
  const { dial, recorder, signer } = await world(t)
  for (const userId of ['u-ana', 'u-bo', 'u-ana', 'u-bo']) {
    const caller = await dial()
    caller.send(requestOf(signer.token(userId)))
    await caller.until('ok')
    caller.socket.end()
    await caller.closed
  }
  const [ana, bo, ...more] = recorder.connections.map(({ text }) => text)
  assert.equal(more.length, 0)
  assert.equal(ana?.match(/^Impersonate-User: ana@example\.com\r$/gm)?.length, 2)
  assert.equal(bo?.match(/^Impersonate-User: bo@example\.com\r$/gm)?.length, 2)
  assert.doesNotMatch(ana ?? '', /bo@/)
  assert.doesNotMatch(bo ?? '', /ana@/)
})

// prettier-ignore
const doubtful: Record<string, string> = {
  'says that it closes': plainAnswer.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
  'is of HTTP/1.0': plainAnswer.replace('1.1', '1.0'),
  'has bytes left over': `${plainAnswer}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`,
  'ends before its request': plainAnswer,
}

for (const [what, answer] of Object.entries(doubtful)) {
  test(`a connection whose answer ${what} is not used again`, async (t) => {
    const { dial, recorder, signer } = await world(t)
    recorder.answer = (connection) => connection.send(answer)
    const caller = await dial()
    const early = what === 'ends before its request'
    const more = early ? ['Content-Length: 1000'] : []
    caller.send(requestOf(signer.token('u-ana'), 'POST /', ...more))
    await caller.until('ok')
    await (
      await recorder.connection(0)
    ).closed
    assert.doesNotMatch(caller.text, /forged/)
    recorder.answer = (connection) => connection.send(plainAnswer)
    const next = await dial()
    next.send(requestOf(signer.token('u-ana')))
    await next.until('ok')
    assert.equal(recorder.connections.length, 2)
  })
}

test('an answer before the end of its request ends the connection: the rest is no request', async (t) => {
  const { dial, recorder, signer } = await world(t)
  const caller = await dial()
  const token = signer.token('u-ana')
  caller.send(requestOf(token, 'POST /', 'Content-Length: 1000'))
  caller.onEnd = () => caller.socket.end(requestOf(token, 'GET /smuggled'))
  assert.match(await caller.toEnd(), /^Connection: close\r$/m)
  assert.doesNotMatch(recorder.text, /smuggled/)
})

test('what the API server says of its own connection stays there', async (t) => {
  const { dial, recorder, signer } = await world(t)
  const own = [
    'Connection: X-Own',
    'Keep-Alive: timeout=5',
    'Upgrade: h2c',
    'Trailer: X-Sum',
    'TE: x',
  ]
  const lines = ['HTTP/1.1 200 OK', ...own, 'X-Name: M\xfcller', 'Transfer-Encoding: chunked']
  const body = `${chunk('ok')}0\r\nX-Sum: 1\r\n\r\n`
  recorder.answer = (connection) => connection.send(`${lines.join('\r\n')}\r\n\r\n${body}`)
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana')))
  const expected = 'HTTP/1.1 200 OK\r\nX-Name: M\xfcller\r\nTransfer-Encoding: chunked\r\n\r\n'
  assert.equal(await caller.until('X-Sum: 1\r\n\r\n'), expected + body)
})

test('what comes on a kept connection unasked closes it, and reaches nobody', async (t) => {
  const { dial, recorder, signer } = await world(t)
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana')))
  await caller.until('ok')
  const first = await recorder.connection(0)
  first.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged')
  await first.closed
  caller.send(requestOf(signer.token('u-ana')))
  await recorder.connection(1)
  await caller.until(/ok[^]*ok/)
  assert.doesNotMatch(caller.text, /forged/)
})

test('a kept connection that the API server closed is not used', async (t) => {
  const { dial, recorder, signer } = await world(t)
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana')))
  await caller.until('ok')
  const first = await recorder.connection(0)
  first.socket.end()
  await first.closed
  caller.send(requestOf(signer.token('u-ana'), 'POST /', 'Content-Length: 2') + 'hi')
  await caller.until(/ok[^]*ok/)
  assert.match((await recorder.connection(1)).text, /POST \/ [^]*\r\n\r\nhi$/)
})

test('100-continue is between the caller and the API server', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = (connection) => connection.send('HTTP/1.1 100 Continue\r\n\r\n')
  const caller = await dial()
  const expects = ['Content-Length: 4', 'Expect: 100-continue']
  caller.send(requestOf(signer.token('u-ana'), 'PUT /a', ...expects))
  await caller.until('HTTP/1.1 100 Continue\r\n\r\n')
  caller.send('body')
  const upstream = await recorder.connection(0)
  assert.match(await upstream.until(/body$/), /^Expect: 100-continue\r$/m)
  upstream.send(plainAnswer)
  await caller.until('ok')
})

test('any other expectation is 417', async (t) => {
  const { refused, recorder, signer } = await world(t)
  const answer = await refused(requestOf(signer.token('u-ana'), 'GET /', 'Expect: tea'))
  assert.match(answer, /^HTTP\/1\.1 417 /)
  assert.equal(recorder.text, '')
})

test('answers without a body leave the connection in step', async (t) => {
  const { dial, recorder, signer } = await world(t)
  const caller = await dial()
  const answers = [
    ['HEAD /', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['GET /', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
    ['DELETE /', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET /', plainAnswer],
  ]
  for (const [line, answer = ''] of answers) {
    recorder.answer = (connection) => connection.send(answer)
    caller.text = ''
    caller.send(requestOf(signer.token('u-ana'), line))
    await caller.until(answer)
    assert.equal(caller.text, answer)
  }
  assert.equal(recorder.connections.length, 1)
})

test('an answer that is cut short is seen to be', async (t) => {
  const { dial, recorder, signer } = await world(t)
  for (const head of [chunkedHead + chunk('part'), plainAnswer.replace('2\r\n', '9\r\n')]) {
    recorder.answer = (connection) => connection.send(head)
    const caller = await dial()
    caller.send(requestOf(signer.token('u-ana')))
    await caller.until(/part|ok/)
    recorder.connections.at(-1)?.socket.destroy()
    const text = await caller.toEnd()
    assert.doesNotMatch(text, /0\r\n\r\n$/)
  }
})

test('D5: chunks that can not be read are told to a caller who has nothing of the answer yet', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = (connection) => connection.send(`${chunkedHead}zz\r\n`)
  const told = await dial()
  told.send(requestOf(signer.token('u-ana')))
  assert.match(await told.toEnd(), /^HTTP\/1\.1 502 [^]*sent what is no answer/)
  // Whoever has a part of it gets no more, and nothing that could be taken for the rest.
  recorder.answer = (connection) => connection.send(chunkedHead + chunk('part'))
  const cut = await dial()
  cut.send(requestOf(signer.token('u-ana')))
  await cut.until('part')
  recorder.connections.at(-1)?.send('zz\r\n')
  assert.equal(await cut.toEnd(), chunkedHead + chunk('part'))
})

test('a caller who goes away takes the API server connection along', async (t) => {
  const { dial, recorder, signer, streams } = await world(t)
  for (const leave of [(one: Tape) => one.socket.destroy(), (one: Tape) => one.socket.end()]) {
    recorder.answer = (connection) => connection.send(chunkedHead)
    const caller = await dial()
    caller.send(requestOf(signer.token('u-ana'), readFile))
    await caller.until('\r\n\r\n')
    leave(caller)
    await recorder.connections.at(-1)?.closed
    await caller.closed
  }
  assert.equal(streams.count, 0)
})

test('an API server that can not be reached is 502, as a Status', async (t) => {
  const made = await world(t)
  const { refused, signer, target } = made
  const stranger = await certificateFor('127.0.0.1')
  for (const broken of [
    { ...target, port: 1 },
    { ...target, tls: { ca: stranger.cert } },
    { ...target, servername: 'another.test' },
  ]) {
    made.target = broken
    const answer = await refused(requestOf(signer.token('u-ana')))
    assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\nContent-Type: application\/json\r\n/)
    const status: unknown = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))
    assert.deepEqual(status, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'the API server of this cluster can not be reached',
      reason: 'ServiceUnavailable',
      code: 502,
    })
  }
  made.target = { ...target, credential: () => null }
  assert.match(await refused(requestOf(signer.token('u-ana'))), /^HTTP\/1\.1 502 /)
  assert.equal(made.recorder.text, '')
})

test('an API server that answers nonsense, or nothing, is 502', async (t) => {
  const { refused, recorder, signer } = await world(t)
  for (const nonsense of [
    'SSH-2.0-OpenSSH\r\n\r\n',
    'HTTP/1.1 200 OK\nX: y\n\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(20),
    '',
  ]) {
    recorder.answer = (connection) => {
      connection.send(nonsense)
      if (nonsense === '') connection.socket.end()
    }
    const answer = await refused(requestOf(signer.token('u-ana')))
    assert.match(
      answer.replaceAll(/HTTP\/1\.1 103[^]*?\r\n\r\n/g, ''),
      /^HTTP\/1\.1 502 /,
      nonsense,
    )
  }
  for (const { closed } of recorder.connections) await closed
})

test('a chunked body that breaks ends both, and the caller is told', async (t) => {
  const { dial, recorder, signer } = await world(t)
  recorder.answer = () => {}
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana'), 'POST /', 'Transfer-Encoding: chunked'))
  const upstream = await recorder.connection(0)
  caller.send('2\r\nok\r\n')
  await upstream.until('2\r\nok\r\n')
  caller.send('5;a=b\r\nworld\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n')
  assert.match(await caller.toEnd(), /^HTTP\/1\.1 400 [^]*the chunked body is malformed/)
  await upstream.closed
  assert.ok(upstream.text.endsWith('2\r\nok\r\n'))
})

test('the service account token and the CA are read anew', async (t) => {
  const made = await world(t)
  const { dial, recorder, signer, target } = made
  const caller = await dial()
  caller.send(requestOf(signer.token('u-ana')))
  await caller.until('ok')
  made.target = { ...target, credential: () => 'rotated' }
  caller.send(requestOf(signer.token('u-ana')))
  await caller.until(/ok[^]*ok/)
  assert.match(recorder.text, /Authorization: Bearer rotated\r\n/)
  assert.equal(recorder.connections.length, 1)
  const both = `${(await certificateFor('other.test')).cert}\n${target.tls.ca}`
  made.target = { ...target, tls: { ca: both } }
  caller.send(requestOf(signer.token('u-ana')))
  await caller.until(/ok[^]*ok[^]*ok/)
  assert.equal(recorder.connections.length, 2)
})
