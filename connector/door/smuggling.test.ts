import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessTo, requestOf, world } from '../fixtures.ts'

const hidden = 'GET /hidden HTTP/1.1\r\nHost: a\r\nImpersonate-User: root\r\n\r\n'

/** Lines behind a head that is good but for them; `body` is what follows. */
// prettier-ignore
const shapes: Record<string, { line?: string; lines?: string[]; body?: string }> = {
  'CL.TE': { lines: ['Content-Length: 6', 'Transfer-Encoding: chunked'], body: `0\r\n\r\n${hidden}` },
  'TE.CL': { lines: ['Transfer-Encoding: chunked', 'Content-Length: 4'], body: `5c\r\n${hidden}` },
  'two lengths': { lines: ['Content-Length: 0', `Content-Length: ${hidden.length}`], body: hidden },
  'a list of lengths': { lines: [`Content-Length: 0, ${hidden.length}`], body: hidden },
  'a signed length': { lines: [`Content-Length: +${hidden.length}`], body: hidden },
  'TE with a tab': { lines: ['Transfer-Encoding:\x0bchunked'], body: `0\r\n\r\n${hidden}` },
  'TE twice': { lines: ['Transfer-Encoding: chunked', 'Transfer-Encoding: x'], body: hidden },
  'TE in capitals': { lines: ['Transfer-Encoding: CHUNKED'], body: `0\r\n\r\n${hidden}` },
  'space before the colon': { lines: ['Content-Length : 5'], body: hidden },
  'a folded header': { lines: ['X: a', ' Impersonate-Group: system:masters'] },
  'a bare LF': { lines: ['X: a\nImpersonate-Group: system:masters'] },
  'a bare CR': { lines: ['X: a\rImpersonate-Group: system:masters'] },
  'a NUL': { lines: ['X: a\0b'] },
  'no name': { lines: [': a'] },
  'two Hosts': { lines: ['Host: evil'] },
  'two Authorizations': { lines: ['Authorization: Bearer other'] },
  'absolute form': { line: 'GET http://evil/s' },
  'authority form': { line: 'CONNECT evil:443' },
  'asterisk form': { line: 'OPTIONS *' },
  'TRACE': { line: 'TRACE /' },
  'an empty segment': { line: 'GET /api//v1' },
  'dot segments': { line: 'GET /api/../version' },
  'an escaped slash': { line: 'GET /api/v1%2fsecrets' },
  'escaped dots': { line: 'GET /api/%2e%2e/version' },
  'a backslash': { line: 'GET /api\\v1' },
  'a chunk extension': { line: 'POST /', lines: ['Transfer-Encoding: chunked'], body: `5;a=b\r\nhello\r\n0\r\n\r\n${hidden}` },
  'a long chunk size': { line: 'POST /', lines: ['Transfer-Encoding: chunked'], body: `000000005\r\nhello\r\n0\r\n\r\n${hidden}` },
  'a chunk that is longer than it says': { line: 'POST /', lines: ['Transfer-Encoding: chunked'], body: `5\r\nhello!\r\n0\r\n\r\n${hidden}` },
  'a trailer': { line: 'POST /', lines: ['Transfer-Encoding: chunked'], body: `0\r\nImpersonate-Group: system:masters\r\n\r\n${hidden}` },
}

test('D5, D10: smuggling shapes are refused, and the API server sees none of them', async (t) => {
  const { dial, refused, recorder, signer } = await world(t)
  recorder.answer = () => {}
  const token = signer.token('u-ana')
  for (const [what, { line, lines = [], body = '' }] of Object.entries(shapes)) {
    const answer = await refused(requestOf(token, line, ...lines) + body)
    assert.match(answer, /^HTTP\/1\.1 4[0-9]{2} [^]*"kind":"Status"/, what)
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, `${what}: one answer and no more`)
  }
  assert.doesNotMatch(recorder.text, /hidden|masters|root|evil/)
  // A body is judged while it passes: its head was good, and its connection is closed with it.
  for (const { closed } of recorder.connections) await closed
  recorder.answer = (connection) => connection.send('HTTP/1.1 204 No Content\r\n\r\n')
  const caller = await dial()
  caller.send(requestOf(token))
  await caller.until(/^HTTP\/1\.1 204 /)
})

test('what is not HTTP/1.1 is told so at once', async (t) => {
  const { refused, recorder } = await world(t)
  assert.match(await refused('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^HTTP\/1\.1 505 /)
  assert.match(await refused('GET / HTTP/1.0\r\n'), /^HTTP\/1\.1 505 /)
  assert.match(await refused('GET /\r\n'), /^HTTP\/1\.1 400 /)
  assert.match(await refused('SSH-2.0-OpenSSH_9.2\n'), /^HTTP\/1\.1 400 /)
  assert.match(await refused('x'.repeat(70_000)), /^HTTP\/1\.1 431 /)
  assert.equal(recorder.text, '')
})

test('a head may come byte by byte', async (t) => {
  const { dial, signer } = await world(t)
  const caller = await dial()
  for (const byte of requestOf(signer.token('u-ana'))) {
    await new Promise<void>((resolve) => caller.socket.write(byte, () => resolve()))
  }
  await caller.until('ok')
})

test('D11: a head that does not come in time, and a caller who says nothing, are cut off', async (t) => {
  const { dial, recorder, signer } = await world(t, { headMs: 300, idleMs: 300 })
  const slow = await dial()
  slow.send('GET / HTTP/1.1\r\nHost: a\r\n')
  const silent = await dial()
  const idle = await dial()
  idle.send(requestOf(signer.token('u-ana')))
  await idle.until('ok')
  await Promise.all([slow.closed, silent.closed, idle.closed])
  assert.equal(recorder.connections.length, 1)
})

test('D1, D2: over the wire, a caller who speaks of identity is refused in a sentence', async (t) => {
  const { refused, recorder, signer, proxy } = await world(t)
  for (const line of [
    'Impersonate-Group: system:masters',
    'impersonate_user: root',
    'X-Remote-User: root',
    'Connection: Impersonate-User, Impersonate-Group',
    'Connection: keep-alive\r\nConnection: Authorization',
  ]) {
    const answer = await refused(requestOf(signer.token('u-ana'), 'GET /', line))
    assert.match(answer, /^HTTP\/1\.1 400 [^]*"reason":"BadRequest"/, line)
  }
  assert.equal(recorder.connections.length, 0)
  assert.equal(proxy.refusals.counts.get(400), 5)
})

test('D6: over the wire, a reserved name from the server is refused', async (t) => {
  const { refused, recorder, signer, grant } = await world(t)
  grant(accessTo({ users: [{ id: 'u-ana', email: 'system:admin', groups: [] }] }))
  assert.match(await refused(requestOf(signer.token('u-ana'))), /^HTTP\/1\.1 403 /)
  assert.equal(recorder.connections.length, 0)
})

test('D7: over the wire, a token for another cluster is 401 in the shape of the API server', async (t) => {
  const { refused, recorder, signer } = await world(t)
  const answer = await refused(requestOf(signer.token('u-ana', { aud: 'd-staging' })))
  assert.match(answer, /^HTTP\/1\.1 401 Unauthorized\r\n[^]*WWW-Authenticate: Bearer\r\n/)
  assert.match(answer, /"kind":"Status".*"reason":"Unauthorized","code":401/)
  assert.equal(recorder.connections.length, 0)
})

test('an answer to HEAD has no body, also when it is a refusal', async (t) => {
  const { refused } = await world(t)
  const answer = await refused('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(answer, /^HTTP\/1\.1 401 [^]*\r\nContent-Length: [1-9][0-9]*\r\n[^]*\r\n\r\n$/)
})
