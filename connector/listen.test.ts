import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import { dial } from './far-ends.fixtures.ts'
import { certificateFor, requestOf, world } from './fixtures.ts'
import { listen } from './listen.ts'

test('a new certificate is served at once, and open connections go on', async (t) => {
  const { proxy, serving, signer } = await world(t)
  const listening = await listen({ host: '127.0.0.1', port: 0, tls: serving, proxy })
  t.after(() => listening.close())
  const old = await dial(listening.port, serving.cert)
  const renewed = await certificateFor('d-prod.test')
  listening.setCertificate(renewed)
  await assert.rejects(dial(listening.port, serving.cert))
  for (const caller of [await dial(listening.port, renewed.cert), old]) {
    caller.send(requestOf(signer.token('u-ana')))
    await caller.until('ok')
  }
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

test('D11: connections are limited, and a place that is left can be taken', async (t) => {
  const { proxy, serving } = await world(t)
  const options = { host: '127.0.0.1', port: 0, tls: serving, proxy, maxConnections: 2 }
  const listening = await listen(options)
  t.after(() => listening.close())
  const { port } = listening
  const [first] = [await dial(port, serving.cert), await dial(port, serving.cert)]
  await assert.rejects(dial(port, serving.cert))
  first.socket.destroy()
  await first.closed
  let next = await dial(port, serving.cert).catch(() => null)
  while (!next) next = await dial(port, serving.cert).catch(() => null)
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
