import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { accessTo, grantOf, requestOf, user, world, type World } from '../fixtures.ts'

const watch = 'GET /api/v1/pods?watch=true'
const exec = 'GET /api/v1/namespaces/web/pods/a/exec?command=sh'
const toWebSocket = ['Connection: Upgrade', 'Upgrade: websocket']
const switched =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const watching = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

/** Opens a stream of `userId`'s, and returns both of its ends. */
async function open({ dial, recorder, signer }: World, userId: string, line: string) {
  recorder.answer = (connection, head) =>
    connection.send(head.includes('Upgrade: ') ? switched : watching)
  const number = recorder.connections.length
  const caller = await dial()
  caller.send(requestOf(signer.token(userId), line, ...(line === exec ? toWebSocket : [])))
  await caller.until('\r\n\r\n')
  return { caller, upstream: await recorder.connection(number) }
}

const onlyBo = accessTo({ grants: [grantOf(user('u-bo'), 'edit')] })

test('R1: a grant revoked closes both ends of a watch and of a shell, and nobody else notices', async (t) => {
  const made = await world(t)
  const lost = [await open(made, 'u-ana', watch), await open(made, 'u-ana', exec)]
  const kept = await open(made, 'u-bo', exec)
  assert.equal(made.streams.count, 3)
  made.grant(onlyBo)
  assert.equal(made.streams.recheck(made.access), 2)
  for (const { caller, upstream } of lost) await Promise.all([caller.closed, upstream.closed])
  kept.caller.send('still here')
  await kept.upstream.until('still here')
  kept.upstream.send('so it seems')
  await kept.caller.until('so it seems')
  const answer = await made.refused(requestOf(made.signer.token('u-ana')))
  assert.match(answer, /^HTTP\/1\.1 403 Forbidden\r\n/)
})

test('R1: a stream over a kept connection is severed like any other', async (t) => {
  const made = await world(t)
  const first = await made.dial()
  first.send(requestOf(made.signer.token('u-ana')))
  await first.until('ok')
  const upstream = await made.recorder.connection(0)
  made.recorder.answer = (connection) => connection.send(watching)
  const caller = await made.dial()
  caller.send(requestOf(made.signer.token('u-ana'), watch))
  await caller.until('\r\n\r\n')
  assert.equal(made.recorder.connections.length, 1)
  made.grant(onlyBo)
  assert.equal(made.streams.recheck(made.access), 1)
  await Promise.all([caller.closed, upstream.closed])
})

test('R6: of what waited in the sockets while the process was stopped nothing passes, either way', async (t) => {
  const overdue = { is: false }
  const beforeBytes = () => {
    if (overdue.is) made.streams.severAll('the lease is over')
  }
  const made = await world(t, {}, { log: () => {}, beforeBytes })
  for (const towards of ['caller', 'upstream'] as const) {
    overdue.is = false
    const both = await open(made, 'u-ana', exec)
    both.upstream.send('before')
    await both.caller.until('before')
    both.caller.send('before')
    await both.upstream.until('before')
    overdue.is = true
    both[towards === 'caller' ? 'upstream' : 'caller'].send('after')
    await Promise.all([both.caller.closed, both.upstream.closed])
    assert.doesNotMatch(both[towards].text, /after/)
  }
})

test('R1: a connection that is idle between requests is not a stream, and is judged anew', async (t) => {
  const made = await world(t)
  const caller = await made.dial()
  caller.send(requestOf(made.signer.token('u-ana')))
  await caller.until('ok')
  made.grant(onlyBo)
  assert.equal(made.streams.recheck(made.access), 0)
  caller.send(requestOf(made.signer.token('u-ana')))
  assert.match(await caller.toEnd(), /HTTP\/1\.1 403 /)
})

test('R2: a stream is severed while its connection to the API server is still being dialled', async (t) => {
  const made = await world(t)
  const dialled = Promise.withResolvers<void>()
  // Accepts, and never says a word of TLS.
  const silent = createServer((socket) => {
    socket.on('error', () => {})
    dialled.resolve()
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const address = silent.address()
  const port = typeof address === 'object' && address ? address.port : 0
  made.target = { ...made.target, port }
  const caller = await made.dial()
  caller.send(requestOf(made.signer.token('u-ana'), watch))
  await dialled.promise
  made.grant(onlyBo)
  assert.equal(made.streams.recheck(made.access), 1)
  await caller.closed
  assert.equal(caller.text, '')
})

test('R2: access lost between the door and being held is not missed', async (t) => {
  const made = await world(t)
  const { door, grant, refused, signer, recorder } = made
  const admit = door.admit.bind(door)
  for (const [access, status] of [
    [onlyBo, /^HTTP\/1\.1 403 /],
    [accessTo({ grants: [grantOf(user('u-ana'), 'edit')] }), /^HTTP\/1\.1 403 /],
    [accessTo({ endedSessions: ['s-u-ana'] }), /^HTTP\/1\.1 401 /],
  ] as const) {
    grant(accessTo())
    door.admit = async (head) => {
      const admitted = await admit(head)
      grant(access)
      return admitted
    }
    assert.match(await refused(requestOf(signer.token('u-ana'), watch)), status)
  }
  assert.equal(recorder.connections.length, 0)
})

test('a caller who is stalled is severed too', async (t) => {
  const made = await world(t)
  const { caller, upstream } = await open(made, 'u-ana', watch)
  caller.socket.pause()
  const line = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  while (upstream.socket.write(line));
  made.grant(onlyBo)
  assert.equal(made.streams.recheck(made.access), 1)
  await upstream.closed
  caller.socket.resume()
  await caller.closed
})

test('a user may have so many streams and no more', async (t) => {
  const made = await world(t, { streamsPerUser: 2 })
  await open(made, 'u-ana', watch)
  const second = await open(made, 'u-ana', exec)
  const answer = await made.refused(requestOf(made.signer.token('u-ana')))
  assert.match(answer, /^HTTP\/1\.1 429 [^]*"reason":"TooManyRequests"/)
  assert.doesNotMatch(answer, /Retry-After/i)
  await open(made, 'u-bo', watch)
  second.upstream.socket.destroy()
  await second.caller.closed
  await open(made, 'u-ana', watch)
})
