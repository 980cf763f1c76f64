/**
 * security.md L9, L13: what a page of another site, a cookie, or a header of the caller's choice can
 * make of the API: nothing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerAddress, type World, world } from '../test/world.ts'
import { type Answer, answerTo, ask, bearer, requestFor, stored } from './app.fixtures.ts'
import { createHealth } from './app.ts'
import { type Row } from './call.ts'
import { routes } from './routes.ts'

const beside = ['/healthz', '/readyz', '/.well-known/jwks.json', '/api/openapi.json', '/api/link']
const others: Pick<Row, 'method' | 'path'>[] = [...beside, '/api/none', '/', '/none'].map(
  (path) => ({ method: 'GET', path }),
)
const everywhere: Pick<Row, 'method' | 'path'>[] = [...routes, ...others]

/** Every row asked with nothing good in it, by an administrator and by a stranger. */
async function answers(
  w: World,
  headers: Record<string, string> = {},
): Promise<[string, Answer][]> {
  const all: [string, Answer][] = []
  for (const row of everywhere) {
    for (const who of [null, w.admin.credential]) {
      if (who !== null && row.path === '/api/logout') continue
      const answer = await ask(w, row, {}, { ...bearer(who), ...headers })
      all.push([`${row.method} ${row.path} as ${who === null ? 'a stranger' : 'an admin'}`, answer])
    }
  }
  return all
}

test('L13: every answer forbids to be framed, run, guessed at, kept or read by another site', async (t) => {
  const w = await world(t)
  const foreign = { origin: 'https://evil.example' }
  for (const [where, { headers }] of [...(await answers(w)), ...(await answers(w, foreign))]) {
    assert.equal(headers.get('x-content-type-options'), 'nosniff', where)
    const policy = "default-src 'none'; frame-ancestors 'none'"
    assert.equal(headers.get('content-security-policy'), policy, where)
    assert.equal(headers.get('referrer-policy'), 'no-referrer', where)
    if (where.includes(' /api')) assert.equal(headers.get('cache-control'), 'no-store', where)
    assert.match(headers.get('content-type') ?? '', /^application\/json/, where)
    const loose = [...headers.keys()].filter((name) => /^(access-control-|set-cookie)/.test(name))
    assert.deepEqual(loose, [], where)
  }
  const health = createHealth(w.db, () => Promise.resolve(''))
  for (const path of ['/metrics', '/healthz', '/none']) {
    const { headers } = await health.fetch(new Request(`http://server${path}`))
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/, path)
  }
})

test('L13: over TLS browsers are told to keep to it, but not where the certificate is our own', async (t) => {
  const hsts = async (settings: Partial<World['settings']>) => {
    const w = await world(t, { settings })
    return (await w.fetch(new Request('http://server/healthz'))).headers.get(
      'strict-transport-security',
    )
  }
  const url = 'https://infra.example.com'
  const files = { kind: 'files', certFile: 'a', keyFile: 'b' } as const
  assert.equal(await hsts({ url, tls: files }), 'max-age=31536000')
  assert.equal(await hsts({ url, tls: { kind: 'off' } }), 'max-age=31536000')
  assert.equal(await hsts({ url, tls: { kind: 'own' } }), null)
  assert.equal(await hsts({ url: 'http://infra.example.com', tls: { kind: 'off' } }), null)
})

test('L13: no row changes anything for a page of another site, whatever credential comes with it', async (t) => {
  const w = await world(t)
  const { url } = w.settings
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `${url}.evil.example` },
    { origin: `${url}/` },
    { origin: url.toUpperCase() },
    { origin: `${url}, https://evil.example` },
    { origin: '' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', origin: url },
  ]
  const before = await stored(w)
  const changing = everywhere.filter(({ method }) => method !== 'GET')
  for (const row of changing) {
    for (const headers of foreign) {
      const answer = await ask(w, row, {}, { ...bearer(w.admin.credential), ...headers })
      const where = `${row.method} ${row.path} ${JSON.stringify(headers)}`
      assert.deepEqual([answer.status, answer.code], [403, 'forbidden'], where)
    }
  }
  assert.deepEqual(await stored(w), before)
  for (const path of ['/api/events', '/api/link']) {
    for (const headers of foreign) {
      const all = { ...bearer(w.admin.credential), ...headers, upgrade: 'WebSocket' }
      const request = new Request(`http://server${path}`, { headers: all })
      const upgrade = () => assert.fail('a WebSocket was opened')
      const response = await w.app.fetch(request, { address: peerAddress, upgrade })
      assert.equal(response.status, 403, path)
    }
  }
})

test('L13: a preflight of another site gets no permission, for no method and no header', async (t) => {
  const w = await world(t)
  for (const { path } of everywhere) {
    for (const origin of ['https://evil.example', w.settings.url]) {
      const headers = {
        origin,
        'access-control-request-method': 'DELETE',
        'access-control-request-headers': 'authorization, content-type',
        'access-control-request-private-network': 'true',
      }
      const request = new Request(`http://server${path}`, { method: 'OPTIONS', headers })
      const answer = await answerTo(w, request)
      assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`)
      assert.doesNotMatch([...answer.headers.keys()].join(), /access-control/, path)
    }
  }
})

test('L13: a cookie is never an identity, and none is set: not even a login sets one', async (t) => {
  const w = await world(t)
  const ben = await w.client.users.create({ email: 'ben@example.com' })
  const body = { email: ben.email, password: ben.password, newPassword: 'battery staple' }
  const login = { method: 'POST', path: '/api/login/password' } as const
  const answer = await answerTo(w, requestFor(login, { input: body }))
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('set-cookie'), null)
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  const { credential } = JSON.parse(answer.text) as { credential: string }
  const names = [
    'session',
    'infra',
    'infra_session',
    'auth',
    'token',
    'authorization',
    '__Host-session',
  ]
  const cookie = names.map((name) => `${name}=${credential}`).join('; ')
  const me = { method: 'GET', path: '/api/me' } as const
  assert.equal((await ask(w, me, {}, { cookie })).status, 401)
  assert.equal((await ask(w, me, {}, { cookie, ...bearer(credential) })).status, 200)
})

test('L9: no answer sends anybody anywhere, and none is made of the Host or forwarded headers', async (t) => {
  const w = await world(t)
  const evil = 'evil.example'
  const said = {
    host: evil,
    forwarded: `host=${evil};proto=https`,
    'x-forwarded-host': evil,
    'x-forwarded-proto': 'https',
    'x-forwarded-prefix': `//${evil}`,
    'x-original-url': `/${evil}`,
    'x-rewrite-url': `/${evil}`,
    'x-host': evil,
    'x-http-method-override': 'DELETE',
    referer: `https://${evil}/`,
  }
  for (const [where, { status, headers, text }] of await answers(w, said)) {
    assert.ok(status < 300 || status >= 400, where)
    assert.equal(headers.get('location'), null, where)
    assert.ok(!`${text}${[...headers].join()}`.includes(evil), where)
  }
  const of = `http://${evil}`
  const document = await (await w.fetch(new Request(`${of}/api/openapi.json`))).json()
  assert.deepEqual((document as { servers: unknown }).servers, [{ url: w.settings.url }])
  for (const next of ['next', 'redirect', 'redirect_uri', 'return_to', 'url', 'continue']) {
    const request = new Request(`http://server/api/login?${next}=https://${evil}/`)
    const answer = await answerTo(w, request)
    assert.deepEqual([answer.status, answer.headers.get('location')], [200, null])
    assert.ok(!answer.text.includes(evil))
  }
})

test('a method in a header, a query or a form is not the method', async (t) => {
  const w = await world(t)
  const { name } = await w.client.groups.create({ name: 'ops' })
  const headers = { ...bearer(w.admin.credential), 'x-http-method-override': 'DELETE' }
  const query = '?_method=DELETE&method=DELETE'
  await answerTo(w, new Request(`http://server/api/groups${query}`, { headers }))
  const request = new Request(`http://server/api/groups/${name}${query}`, {
    method: 'POST',
    headers,
  })
  assert.equal((await answerTo(w, request)).status, 405)
  assert.equal((await w.client.groups.list()).length, 1)
})
