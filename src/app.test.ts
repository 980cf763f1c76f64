import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { routes } from './routes.ts'

type Sent = {
  method?: 'POST' | 'PUT'
  headers?: Record<string, string>
  body?: string | ReadableStream
}

function send(w: World, path: string, { headers = {}, ...init }: Sent = {}): Promise<Response> {
  const authorization = `Bearer ${w.admin.credential}`
  const all = { authorization, 'content-type': 'application/json', ...headers }
  // `duplex` is needed for a body that is a stream, and unknown to the types.
  const whole: object = { ...init, headers: all, duplex: 'half' }
  const request = new Request(`http://server${path}`, whole)
  return Promise.resolve(w.fetch(request))
}

async function refusal(response: Response): Promise<[number, unknown]> {
  const { code } = (await response.json()) as { code: unknown }
  return [response.status, code]
}

test('a user sees who they are', async (t) => {
  const { user } = await world(t)
  const ana = await user('ana@example.com')
  const me = await ana.client.me.get()
  assert.deepEqual(me.user, { id: ana.id, email: ana.email, admin: false, groups: [] })
})

test('a group whose name holds a slash is addressed by its percent-encoded name', async (t) => {
  const { client } = await world(t)
  await assert.rejects(client.groups.delete('okta/dev'), {
    code: 'not_found',
    message: /okta\/dev/,
  })
})

test('what the path says cannot be said otherwise in the body', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const bob = await w.user('bob@example.com')
  const body = JSON.stringify({ user: bob.email, disabled: true })
  await send(w, `/api/users/${ana.email}`, { method: 'PUT', body })
  const disabled = (await w.client.users.list()).filter((user) => user.disabled)
  assert.deepEqual(
    disabled.map(({ email }) => email),
    [ana.email],
  )
})

test('S3: a body that is no JSON object, too large, or of another type is refused', async (t) => {
  const w = await world(t)
  const post = (body: string, headers: Record<string, string> = {}) =>
    send(w, '/api/groups', { method: 'POST', body, headers })
  for (const body of ['', '{', '[]', 'null', '1', '"a"', '{}', '{"name":1}', `{"name":"a\\nb"}`]) {
    assert.deepEqual(await refusal(await post(body)), [400, 'invalid'], body)
  }
  const plain = await post('{"name":"ops"}', { 'content-type': 'text/plain' })
  assert.deepEqual(await refusal(plain), [400, 'invalid'])
  const large = JSON.stringify({ name: 'ops', more: 'x'.repeat(300_000) })
  assert.deepEqual(await refusal(await post(large)), [400, 'invalid'])
  assert.deepEqual(await w.client.groups.list(), [])
})

test('S2: a body without an announced length is counted as it comes', async (t) => {
  const w = await world(t)
  let sent = 0
  const body = new ReadableStream({
    pull(controller) {
      sent += 65_536
      controller.enqueue(new Uint8Array(65_536).fill(32))
    },
  })
  const response = await send(w, '/api/groups', { method: 'POST', body })
  assert.deepEqual(await refusal(response), [400, 'invalid'])
  assert.ok(sent < 2_000_000, `${sent} bytes were read`)
})

test('a query parameter that is given twice is refused', async (t) => {
  const w = await world(t)
  assert.deepEqual(await refusal(await send(w, '/api/events?after=0&after=5')), [400, 'invalid'])
})

test('a route that is not there is 404, and another method of one that is 405', async (t) => {
  const w = await world(t)
  assert.deepEqual(await refusal(await send(w, '/api/none')), [404, 'not_found'])
  const response = await send(w, '/api/users/x', { method: 'POST', body: '{}' })
  assert.equal(response.headers.get('allow'), 'PUT, DELETE')
  assert.deepEqual(await refusal(response), [405, 'invalid'])
})

test('every answer forbids to be kept, framed or guessed at', async (t) => {
  const w = await world(t)
  for (const path of ['/api/me', '/api/none', '/api/openapi.json']) {
    const { headers } = await send(w, path)
    assert.equal(headers.get('cache-control'), 'no-store', path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/, path)
  }
})

test('L13: a page of another site changes nothing, and our own pages may', async (t) => {
  const w = await world(t)
  const post = (origin: string) =>
    send(w, '/api/groups', { method: 'POST', body: '{"name":"ops"}', headers: { origin } })
  for (const origin of ['https://evil.example', 'null', `${w.settings.url}.evil.example`]) {
    assert.deepEqual(await refusal(await post(origin)), [403, 'forbidden'], origin)
  }
  const upgrade = { origin: 'https://evil.example', upgrade: 'websocket' }
  assert.equal((await send(w, '/api/events', { headers: upgrade })).status, 403)
  assert.deepEqual(await w.client.groups.list(), [])
  assert.equal((await post(w.settings.url)).status, 200)
})

test('what was not meant to happen is a bare 500, and the server goes on', async (t) => {
  const w = await world(t)
  await w.db.execute(sql`alter table groups rename to lost`)
  const response = await send(w, '/api/groups')
  await w.db.execute(sql`alter table lost rename to groups`)
  assert.equal(response.status, 500)
  assert.deepEqual(await response.json(), { code: 'internal', message: 'internal error' })
  assert.deepEqual(await w.client.groups.list(), [])
})

test('ready means that the database answers; healthy does not ask it', async (t) => {
  const w = await world(t)
  assert.equal((await send(w, '/readyz')).status, 200)
  await w.db.execute(sql`alter table events rename to lost`)
  const [ready, healthy] = [await send(w, '/readyz'), await send(w, '/healthz')]
  await w.db.execute(sql`alter table lost rename to events`)
  assert.deepEqual([ready.status, healthy.status], [503, 200])
})

test('the OpenAPI document has every route, with its parameters and its answer', async (t) => {
  const w = await world(t)
  type Operation = { parameters: { name: string; in: string }[]; security: object[] }
  const { paths } = (await (await send(w, '/api/openapi.json')).json()) as {
    paths: Record<string, Record<string, Operation>>
  }
  for (const { method, path } of routes) {
    assert.ok(paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()], path)
  }
  const receipt = paths['/api/destinations/{destination}/receipt']?.['get']
  assert.deepEqual(
    receipt?.parameters.map(({ name, in: where }) => [name, where]),
    [
      ['destination', 'path'],
      ['revision', 'query'],
      ['waitSeconds', 'query'],
    ],
  )
  assert.deepEqual(paths['/api/login']?.['get']?.security, [])
})
