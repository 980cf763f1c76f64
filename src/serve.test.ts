import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { sql } from 'drizzle-orm'
import WebSocket from 'ws'
import { type World, world } from '../test/world.ts'
import { type Serving, serve } from './serve.ts'
import { closing } from './sockets.ts'
import { fetchWith } from './wire/dial.ts'
import { Event } from './wire/events.ts'
import { FromServer } from './wire/link.ts'

type Served = { w: World; url: string; serving: Serving }

async function served(t: TestContext): Promise<Served> {
  const w = await world(t)
  const serving = await serve({ host: '127.0.0.1', port: 0, tls: null, app: w.app })
  t.after(() => serving.close())
  return { w, url: `127.0.0.1:${serving.port}`, serving }
}

type Far = {
  messages: string[]
  closed: Promise<number>
  ws: WebSocket
  many(count: number): Promise<string[]>
}

/** Opens a WebSocket; rejects with the status when it is refused. */
async function open(
  t: TestContext,
  url: string,
  credential: string | null,
  headers: Record<string, string> = {},
): Promise<Far> {
  const authorization = credential ? { authorization: `Bearer ${credential}` } : {}
  const ws = new WebSocket(url, { headers: { ...authorization, ...headers } })
  t.after(() => ws.terminate())
  const messages: string[] = []
  const waiting = new Set<() => void>()
  ws.on('message', (bytes: Buffer) => {
    messages.push(bytes.toString())
    for (const look of waiting) look()
  })
  const closed = new Promise<number>((resolve) => ws.on('close', resolve))
  const many = (count: number): Promise<string[]> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (messages.length >= count) resolve(messages.slice(0, count))
      }
      waiting.add(look)
      look()
    })
  await new Promise<void>((resolve, reject) => {
    ws.on('unexpected-response', (_request, { statusCode }) =>
      reject(new Error(`status ${statusCode}`)),
    )
    ws.on('error', reject)
    ws.on('open', resolve)
  })
  return { messages, closed, ws, many }
}

const numbers = (messages: string[]): number[] =>
  messages.map((text) => Event.parse(JSON.parse(text)).number)

test('an administrator follows events from a number on, those that were and those that come', async (t) => {
  const { w, url } = await served(t)
  for (const name of ['a', 'b', 'c']) await w.client.groups.create({ name })
  const far = await open(t, `ws://${url}/api/events?after=2`, w.admin.credential)
  assert.deepEqual(numbers(await far.many(2)), [3, 4])
  await w.client.groups.create({ name: 'd' })
  await w.client.groups.delete('a')
  assert.deepEqual(numbers(await far.many(4)), [3, 4, 5, 6])
  const { accessKey } = await w.client.keys.create({ name: 'audit' })
  const again = await open(t, `ws://${url}/api/events?after=6`, accessKey)
  assert.deepEqual(numbers(await again.many(1)), [7])
})

test('more events than fit into one batch all come, in order', async (t) => {
  const { w, url } = await served(t)
  await w.db.execute(sql`insert into events (number, kind, at, actor, detail)
    select n, 'test', now(), '{"kind":"system","id":null,"name":"infra"}', '{}'
    from generate_series(2, 1101) n`)
  const far = await open(t, `ws://${url}/api/events`, w.admin.credential)
  const found = numbers(await far.many(1101))
  assert.deepEqual(
    found,
    Array.from({ length: 1101 }, (_, at) => at + 1),
  )
})

test('L13: events are for administrators, and not for pages of other sites', async (t) => {
  const { w, url } = await served(t)
  const ana = await w.user('ana@example.com')
  const events = `ws://${url}/api/events`
  await assert.rejects(open(t, events, null), /status 401/)
  await assert.rejects(open(t, events, 'x.y'), /status 401/)
  await assert.rejects(open(t, events, ana.credential), /status 403/)
  const origin = 'https://evil.example'
  await assert.rejects(open(t, events, w.admin.credential, { origin }), /status 403/)
  await open(t, events, w.admin.credential, { origin: w.settings.url })
})

test('whoever is no administrator any more sees no further event', async (t) => {
  const { w, url } = await served(t)
  const eve = await w.user('eve@example.com', { admin: true })
  const far = await open(t, `ws://${url}/api/events`, eve.credential)
  const before = numbers(await far.many(1))
  await w.client.users.update({ user: eve.email, admin: false })
  assert.equal(await far.closed, closing.notAdmitted)
  assert.deepEqual(numbers(far.messages), before)
})

test('a connector opens its link with its key, and a user cannot', async (t) => {
  const { w, url } = await served(t)
  const { id, accessKey } = await w.client.destinations.create({ name: 'prod' })
  await assert.rejects(open(t, `ws://${url}/api/link`, w.admin.credential), /status 403/)
  await assert.rejects(open(t, `ws://${url}/api/events`, accessKey), /status 403/)
  const far = await open(t, `ws://${url}/api/link`, accessKey)
  const known = { epoch: null, revision: null, endpoint: null }
  far.ws.send(JSON.stringify({ kind: 'hello', instance: 'one', version: '1', ...known }))
  const [first = ''] = await far.many(1)
  const message = FromServer.parse(JSON.parse(first))
  assert.equal(message.kind === 'access' && message.access.destination.id, id)
  assert.equal(w.hub.linked(id), 1)
  far.ws.close()
  await far.closed
  while (w.hub.linked(id) > 0) await new Promise(setImmediate)
})

test('S2: a message that is too large, or binary, ends the link', async (t) => {
  const { w, url } = await served(t)
  const { accessKey } = await w.client.destinations.create({ name: 'prod' })
  const large = await open(t, `ws://${url}/api/link`, accessKey)
  large.ws.send('x'.repeat(100_000))
  // Node says 1009, Bun closes without a word.
  assert.ok([1009, 1006].includes(await large.closed))
  const binary = await open(t, `ws://${url}/api/link`, accessKey)
  binary.ws.send(Buffer.from('{}'))
  assert.equal(await binary.closed, 1003)
})

test('an upgrade to anything else is answered, and does not leave a socket open', async (t) => {
  const { url, serving } = await served(t)
  const socket = connect(serving.port, '127.0.0.1')
  socket.setEncoding('utf8')
  const lines = [
    'GET /api/events HTTP/1.1',
    `Host: ${url}`,
    'Connection: Upgrade, close',
    'Upgrade: h2c',
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const [answer] = (await once(socket, 'data')) as [string]
  assert.match(answer, /^HTTP\/1\.1 4\d\d /)
  socket.destroy()
})

test('a request brings the address of its other end', async (t) => {
  const app = {
    fetch: (_request: Request, { address }: { address: string }) => Response.json({ address }),
  }
  const serving = await serve({ host: '127.0.0.1', port: 0, tls: null, app })
  t.after(() => serving.close())
  const response = await fetch(`http://127.0.0.1:${serving.port}/`)
  assert.deepEqual(await response.json(), { address: '127.0.0.1' })
})

test('with a certificate of our CA, whoever trusts it gets an answer, and nobody else', async (t) => {
  const w = await world(t)
  const { certificate, key } = await w.authority.certifyServer(['127.0.0.1'])
  const tls = { cert: certificate, key }
  const serving = await serve({ host: '127.0.0.1', port: 0, tls, app: w.app })
  t.after(() => serving.close())
  const url = `https://127.0.0.1:${serving.port}/healthz`
  const response = await fetchWith(w.authority.caPem)(new Request(url))
  assert.equal(response.status, 200)
  await assert.rejects(async () => fetchWith(null)(new Request(url)))
})

test('a port that is taken is refused', async () => {
  const app = { fetch: () => new Response(null) }
  const serving = await serve({ host: '127.0.0.1', port: 0, tls: null, app })
  const { port } = serving
  await assert.rejects(serve({ host: '127.0.0.1', port, tls: null, app }))
  await serving.close()
})
