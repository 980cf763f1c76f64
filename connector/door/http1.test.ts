import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerBody, requestBody } from '../splice/body.ts'
import { readAnswer } from '../splice/answer.ts'
import { headEnd, readRequest, refuseEarly, type Framing } from './http1.ts'
import { Refusal } from '../status.ts'

const read = (...lines: string[]) => readRequest(`${lines.join('\r\n')}\r\n\r\n`)
const withHost = (...lines: string[]) => read('GET / HTTP/1.1', 'Host: a', ...lines)

function statusOf(run: () => unknown): number {
  try {
    run()
  } catch (error) {
    if (error instanceof Refusal) return error.status
    throw error
  }
  return 200
}

test('a request is read as it stands', () => {
  const head = read('POST /api?a=b HTTP/1.1', 'Host: a:6443', 'X-A:  b c\t', 'Content-Length: 12')
  assert.deepEqual(head, {
    method: 'POST',
    target: '/api?a=b',
    lines: '\r\nHost: a:6443\r\nX-A:  b c\t\r\nContent-Length: 12\r\n\r\n',
    fields: [
      { name: 'host', written: 'Host', value: 'a:6443' },
      { name: 'x-a', written: 'X-A', value: 'b c' },
      { name: 'content-length', written: 'Content-Length', value: '12' },
    ],
    framing: { kind: 'length', length: 12 },
    keepAlive: true,
  })
  assert.equal(withHost('Connection: Close').keepAlive, false)
  assert.deepEqual(withHost('Transfer-Encoding: chunked').framing, { kind: 'chunked' })
})

// prettier-ignore
const oddHeads: [string, number][] = [
  ['GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\n\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\0\r\n\r\n', 400],
  ['\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nX: \xe4\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: \r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a:b\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\t\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 \r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t5\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  5\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\t\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked \r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n', 400],
  ['GET / HTTP/1.0\r\nHost: a\r\n\r\n', 505],
  ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  ['PRI * HTTP/2.0\r\n\r\n', 505],
  ['GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 400],
  ['GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['GET / http/1.1\r\nHost: a\r\n\r\n', 400],
  ['GET /\r\nHost: a\r\n\r\n', 400],
  ['get / HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ['CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ['TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ['PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n', 405],
]

test('D5: a head with more than one reading is refused', () => {
  for (const [text, status] of oddHeads) {
    assert.equal(
      statusOf(() => readRequest(text)),
      status,
      JSON.stringify(text),
    )
  }
})

test('D5: the same headers are not read again, and everything else is', () => {
  const before = withHost('X-A: b', 'Content-Length: 12')
  const next = (text: string) => readRequest(text, before)
  const same = next('POST /other HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 12\r\n\r\n')
  assert.deepEqual(same, { ...before, method: 'POST', target: '/other' })
  assert.equal(same.fields, before.fields)
  const other = next('GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 13\r\n\r\n')
  assert.deepEqual(other.framing, { kind: 'length', length: 13 })
  assert.deepEqual(before.framing, { kind: 'length', length: 12 })
  for (const [text, status] of oddHeads) {
    assert.equal(
      statusOf(() => readRequest(text, withHost())),
      status,
      JSON.stringify(text),
    )
  }
  for (const line of [
    '',
    'GET',
    'GET //',
    'GET / HTTP/1.1\r',
    'GET /\n HTTP/1.1',
    'GET /a\0 HTTP/1.1',
  ])
    assert.equal(
      statusOf(() => readRequest(`${line}\r\nHost: a\r\n\r\n`, withHost())),
      400,
      JSON.stringify(line),
    )
})

test('D5: what may be there once is refused twice', () => {
  const lines = ['Authorization: Bearer a', 'Upgrade: websocket', 'Expect: 100-continue']
  const ofUpgrades = ['Sec-WebSocket-Key: a', 'Sec-WebSocket-Version: 13']
  const ofBodies = ['Content-Type: a/b', 'Content-Length: 0', 'Transfer-Encoding: chunked']
  for (const line of [...lines, ...ofUpgrades, ...ofBodies]) {
    assert.equal(
      statusOf(() => withHost(line)),
      200,
      line,
    )
    assert.equal(
      statusOf(() => withHost(line, line)),
      400,
      line,
    )
    assert.equal(
      statusOf(() => withHost(line, line.toUpperCase())),
      400,
      line,
    )
  }
})

// prettier-ignore
const oddLengths = [
  ['Content-Length: 5', 'Transfer-Encoding: chunked'],
  ['Content-Length: 5', 'Content-Length: 5'], ['Content-Length: 5, 5'], ['Content-Length: '],
  ['Content-Length: +5'], ['Content-Length: -5'], ['Content-Length: 0x5'], ['Content-Length: 05'],
  ['Content-Length: 5 '.padEnd(30) + '5'], ['Content-Length: 1e3'], ['Content-Length: 5.0'],
  ['Content-Length: 99999999999999999999'], ['Content-Length_: 5', 'Content-Length: x'],
  ['Transfer-Encoding: Chunked'], ['Transfer-Encoding: gzip, chunked'], ['Transfer-Encoding: identity'],
  ['Transfer-Encoding: chunked, chunked'], ['Transfer-Encoding: chunked;q=1'], ['Transfer-Encoding: '],
  ['Transfer-Encoding: \x0bchunked'], ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
]

test('D5: a body whose length is in doubt is refused', () => {
  for (const lines of oddLengths) {
    assert.equal(
      statusOf(() => withHost(...lines)),
      400,
      lines.join(' | '),
    )
  }
})

// prettier-ignore
const oddTargets = [
  'http://evil/s', '//evil/s', '*', 'a:443', 'api', '/a//b', '/a/./b', '/a/../b', '/..', '/.', '/a/..',
  '/a%2fb', '/a%2Fb', '/%2e%2e/b', '/%2E', '/a%5cb', '/a%00', '/a%', '/a%2', '/a%zz', '/a\\b', '/a#b',
  '/a?b#c', '/a"b', '/a<b', '/a\x7fb', '/\xe4', '/a?\xe4', '/a?b\tc',
]

test('D10: a target that two readers may read differently is refused', () => {
  for (const target of oddTargets) {
    const status = statusOf(() => read(`GET ${target} HTTP/1.1`, 'Host: a'))
    assert.equal(status, 400, target)
  }
})

test('targets that kubectl and browsers of services send are taken', () => {
  for (const target of [
    '/',
    '/api/',
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aaggregate;x=1',
    '/api/v1/namespaces/web/pods/a:b/exec?command=sh&command=-c&stdin=true&command=a%2Fb..//',
    '/api/v1/namespaces/web/services/https:web:443/proxy/a%20b/.hidden/...',
    "/openapi/v3?hash={a}|b'[]~",
  ]) {
    assert.equal(read(`GET ${target} HTTP/1.1`, 'Host: a').target, target)
  }
})

test('a head ends at its blank line, however it arrives', () => {
  const text = 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET'
  for (let cut = 1; cut < text.length; cut += 1) {
    const bytes = Buffer.from(text)
    const early = headEnd(bytes.subarray(0, cut), 0)
    assert.equal(early, cut >= 27 ? 27 : -1)
    if (early < 0) assert.equal(headEnd(bytes, cut), 27)
    const more = cut + 1 >= 27 ? 27 : -1
    if (early < 0) assert.equal(headEnd(bytes.subarray(0, cut + 1), cut), more, 'byte by byte')
  }
})

test('nonsense is refused before its head is whole', () => {
  for (const text of ['GET / HTTP/1.1\nHo', 'GET / HTTP/1.1\r\nHost: a\n', 'GET /\rX', 'a\0']) {
    assert.equal(
      statusOf(() => headEnd(Buffer.from(text), 0)),
      400,
      JSON.stringify(text),
    )
    const cut = Buffer.from(text).subarray(0, -1)
    const seen = statusOf(() => headEnd(cut, 0)) === 200 ? cut.length : 0
    assert.equal(
      statusOf(() => headEnd(Buffer.from(text), seen)),
      400,
      JSON.stringify(text),
    )
  }
  assert.equal(
    statusOf(() => refuseEarly(Buffer.from('GET /\r\nHo'), 0)),
    400,
  )
  assert.equal(
    statusOf(() => refuseEarly(Buffer.from('PRI * HTTP/2.0\r\n'), 0)),
    505,
  )
})

test('D11: a head is bounded in bytes and in headers', () => {
  assert.equal(
    statusOf(() => headEnd(Buffer.alloc(64 * 1024, 'a'), 0)),
    431,
  )
  const many = Array.from({ length: 201 }, (_, number) => `X-${number}: a`)
  assert.equal(
    statusOf(() => withHost(...many)),
    431,
  )
  assert.equal(
    statusOf(() => withHost(...many.slice(0, 199))),
    200,
  )
})

/** Feeds `text` to the body in pieces of `size`; says how much it took, or the status it refused with. */
function fed(framing: Framing, text: string, size: number): number | 'refused' | 'unfinished' {
  const body = requestBody(framing)
  let taken = 0
  try {
    while (!body.done && taken < text.length) {
      taken += body.take(Buffer.from(text.slice(taken, taken + size), 'latin1'))
    }
  } catch {
    return 'refused'
  }
  return body.done ? taken : 'unfinished'
}

test('a chunked body ends where its last chunk says, however it arrives', () => {
  const text = '4\r\nwiki\r\nA\r\n0123\r\n6789\r\n0\r\n\r\n'
  for (const size of [1, 2, 3, 7, 100]) {
    assert.equal(fed({ kind: 'chunked' }, `${text}GET /`, size), text.length)
  }
})

test('a counted body ends at its length', () => {
  assert.equal(fed({ kind: 'length', length: 3 }, 'abcGET', 2), 3)
  assert.equal(fed({ kind: 'none' }, 'GET', 2), 0)
})

// prettier-ignore
const oddChunks = [
  '4;ext=1\r\nwiki\r\n0\r\n\r\n', '4 \r\nwiki\r\n0\r\n\r\n', ' 4\r\nwiki\r\n0\r\n\r\n', '+4\r\nwiki\r\n0\r\n\r\n',
  '0x4\r\nwiki\r\n0\r\n\r\n', '-1\r\n', '\r\n', '100000000\r\n', '4\nwiki\r\n0\r\n\r\n', '4\rwiki',
  '4\r\nwikix\r\n0\r\n\r\n', '4\r\nwiki\n0\r\n\r\n', '4\r\nwiki0\r\n\r\n', '3\r\nwiki\r\n0\r\n\r\n',
  '0\r\nX: y\r\n\r\n', '0\r\n\n', '0\r\n \r\n', '0\n\r\n', 'g\r\n', '00000000000000004\r\nwiki\r\n0\r\n\r\n',
]

test('D5: chunks with more than one reading are refused', () => {
  for (const text of oddChunks) {
    for (const size of [1, 3, 100]) {
      assert.equal(fed({ kind: 'chunked' }, text, size), 'refused', JSON.stringify(text))
    }
  }
})

test('D11: the trailers of an answer are bounded', () => {
  const body = answerBody({ kind: 'chunked' })
  body.take(Buffer.from('0\r\n'))
  const line = Buffer.from(`X-Sum: ${'a'.repeat(1_000)}\r\n`)
  const most = Math.floor((8 * 1024) / line.length)
  for (let count = 0; count < most; count += 1) assert.equal(body.take(line), line.length)
  assert.throws(() => body.take(line), Refusal)
})

test('an answer has the body that its status and its request leave it', () => {
  const framing = (method: string, ...lines: string[]) =>
    readAnswer(`${lines.join('\r\n')}\r\n\r\n`, method).framing.kind
  assert.equal(framing('GET', 'HTTP/1.1 200 OK', 'Content-Length: 5'), 'length')
  assert.equal(framing('HEAD', 'HTTP/1.1 200 OK', 'Content-Length: 5'), 'none')
  assert.equal(framing('GET', 'HTTP/1.1 204 No Content'), 'none')
  assert.equal(framing('GET', 'HTTP/1.1 304 Not Modified', 'Content-Length: 5'), 'none')
  assert.equal(framing('GET', 'HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'), 'chunked')
  assert.equal(framing('GET', 'HTTP/1.1 200'), 'until-close')
})

test('an answer in doubt is no answer', () => {
  for (const lines of [
    ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 6'],
    ['HTTP/1.1 200 OK', 'Transfer-Encoding: gzip'],
    ['HTTP/1.1 2000 OK'],
    ['HTTP/2 200'],
    ['garbage'],
  ]) {
    const text = `${lines.join('\r\n')}\r\n\r\n`
    assert.notEqual(
      statusOf(() => readAnswer(text, 'GET')),
      200,
      text,
    )
  }
})
