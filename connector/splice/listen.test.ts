import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import { dial, plainAnswer } from '../far-ends.fixtures.ts'
import { accessTo, certificateFor, grantOf, requestOf, user, world } from '../fixtures.ts'
import { listen } from './listen.ts'

const watching = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

test('a new certificate is served at once, and open connections go on', async (t) => {
  const { proxy, serving, signer, recorder } = await world(t)
  const listening = await listen({ host: '127.0.0.1', port: 0, tls: serving, proxy })
  t.after(() => listening.close())
  const old = await dial(listening.port, serving.cert)
  const watch = await dial(listening.port, serving.cert)
  recorder.answer = (connection, head) =>
    connection.send(head.includes('watch=true') ? watching : plainAnswer)
  watch.send(requestOf(signer.token('u-ana'), 'GET /api/v1/pods?watch=true'))
  await watch.until('\r\n\r\n')
  const watched = await recorder.connection(0)
  const renewed = await certificateFor('d-prod.test')
  listening.setCertificate(renewed)
  await assert.rejects(dial(listening.port, serving.cert))
  for (const caller of [await dial(listening.port, renewed.cert), old]) {
    caller.send(requestOf(signer.token('u-ana')))
    await caller.until('ok')
  }
  watched.send('5\r\nevent\r\n')
  await watch.until('event')
})

function handshake(port: number, options: tls.ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    socket.once('secureConnect', () => {
      resolve(`${socket.getProtocol()} ${socket.alpnProtocol}`)
      socket.destroy()
    })
    socket.once('error', () => resolve('refused'))
  })
}

test('TLS 1.2 and later, and HTTP/1.1 alone, are offered', async (t) => {
  const { port } = await world(t)
  const offers = ['h2', 'http/1.1']
  assert.equal(await handshake(port, { ALPNProtocols: offers }), 'TLSv1.3 http/1.1')
  const version = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
  assert.equal(await handshake(port, { ALPNProtocols: offers, ...version }), 'TLSv1.2 http/1.1')
  assert.equal(await handshake(port, { ALPNProtocols: ['h2'] }), 'refused')
  assert.equal(await handshake(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }), 'refused')
})

test('closing ends what is open, a handshake that never came included', async (t) => {
  const { proxy, serving } = await world(t)
  const listening = await listen({ host: '127.0.0.1', port: 0, tls: serving, proxy })
  const open = await dial(listening.port, serving.cert)
  const silent: Socket = connect(listening.port, '127.0.0.1')
  await new Promise((resolve) => silent.once('connect', resolve))
  const closed = new Promise((resolve) => silent.resume().once('close', resolve))
  await dial(listening.port, serving.cert)
  await listening.close()
  await Promise.all([open.closed, closed])
})

/** Which timer the kernel runs for a connection, by both of its ports (proc(5), net/tcp). */
function timerOf(local: number, remote: number): string {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0')
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, 'utf8').split('\n').slice(1),
  )
  for (const line of lines) {
    const [, from = '', to = '', , , timer = ''] = line.trim().split(/\s+/)
    if (!from.endsWith(`:${hex(local)}`) || !to.endsWith(`:${hex(remote)}`)) continue
    return timer.split(':')[0] ?? ''
  }
  return 'no such connection'
}

test('a watch that is quiet is kept alive on both sides, for the kernel to see who is gone', async (t) => {
  if (process.platform !== 'linux') return t.skip('the kernel tells of its timers on Linux alone')
  const { port, target, signer, recorder, dial: call } = await world(t)
  recorder.answer = (connection) => connection.send(watching)
  const caller = await call()
  caller.send(requestOf(signer.token('u-ana'), 'GET /api/v1/pods?watch=true'))
  await caller.until('\r\n\r\n')
  const upstream = await recorder.connection(0)
  const keepalive = '02'
  // A timer of bytes not yet acknowledged comes first, for a moment.
  const [near, far] = [portOf(caller.socket, 'local'), portOf(upstream.socket, 'remote')]
  for (const [local, remote] of [
    [port, near],
    [far, target.port],
  ] as const) {
    while (timerOf(local, remote) === '01') await new Promise(setImmediate)
    assert.equal(timerOf(local, remote), keepalive)
  }
})

function portOf(socket: unknown, end: 'local' | 'remote'): number {
  const { localPort, remotePort } = socket as Socket
  return (end === 'local' ? localPort : remotePort) ?? 0
}

test('what is open and quiet outlasts every limit that a connection without a request has', async (t) => {
  const { signer, recorder, dial: call } = await world(t, { headMs: 200, idleMs: 200 })
  recorder.answer = (connection) => connection.send(watching)
  const caller = await call()
  caller.send(requestOf(signer.token('u-ana'), 'GET /api/v1/pods?watch=true'))
  await caller.until('\r\n\r\n')
  const upstream = await recorder.connection(0)
  // Whoever asks nothing is shown out, one after the other: so much time has passed by then.
  for (const _ of [1, 2, 3, 4, 5]) await (await call()).closed
  upstream.send('5\r\nevent\r\n')
  await caller.until('event')
})

test('a thousand connections of one user are open at once; one more is refused, and not another user', async (t) => {
  const { signer, recorder, streams, access, grant, dial: call, refused } = await world(t)
  recorder.answer = (connection) => connection.send(watching)
  const watch = async (userId: string) => {
    const caller = await call()
    caller.send(requestOf(signer.token(userId), 'GET /api/v1/pods?watch=true'))
    await caller.until('\r\n\r\n')
    return caller
  }
  const open: Awaited<ReturnType<typeof watch>>[] = []
  while (open.length < 1000) {
    open.push(...(await Promise.all(Array.from({ length: 50 }, () => watch('u-ana')))))
  }
  assert.equal(streams.countOf('u-ana'), 1000)
  assert.match(await refused(requestOf(signer.token('u-ana'))), /^HTTP\/1\.1 429 [^]*1000 requests/)
  const other = await watch('u-bo')

  for (const connection of recorder.connections) connection.send('5\r\nevent\r\n')
  await Promise.all(open.map((caller) => caller.until('event')))
  grant(accessTo({ grants: [grantOf(user('u-bo'), 'edit')] }))
  assert.equal(streams.recheck(access), 1000)
  await Promise.all(open.map((caller) => caller.closed))
  other.socket.destroy()
})
