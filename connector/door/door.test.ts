import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { HeldAccess } from '../access.ts'
import { admittedBy, Door } from './door.ts'
import { identityLines } from './impersonate.ts'
import { accessTo, encoded, HandClock, issuer, renew, requestOf, Signer } from '../fixtures.ts'
import { readRequest } from './http1.ts'
import { Refusal } from '../status.ts'

function doorway() {
  const clock = new HandClock()
  const access = new HeldAccess(clock)
  const signer = new Signer('k1')
  renew(access, accessTo({ signingKeys: [signer.publicKey] }), clock)
  const now = clock.wall() / 1000
  const life = { iat: now, exp: now + 300 }
  const token = (claims: Record<string, unknown> = {}, header: object = {}) =>
    signer.token('u-ana', { ...life, ...claims }, header)
  return { clock, access, signer, door: new Door({ access }), life, token }
}

const knock = (door: Door, token: string, ...more: string[]) =>
  door.admit(readRequest(requestOf(token, 'GET /api', ...more)))

async function refused(door: Door, token: string, ...more: string[]): Promise<Refusal> {
  const answer = await knock(door, token, ...more).catch((error: unknown) => error)
  assert.ok(answer instanceof Refusal, `let in: ${JSON.stringify(answer)}`)
  return answer
}

test('a token of ours lets its user in, with the groups that Access gives', async () => {
  const { door, token } = doorway()
  assert.deepEqual(await knock(door, token()), {
    userId: 'u-ana',
    sessionId: 's-u-ana',
    email: 'ana@example.com',
    groups: ['infra:role:view'],
  })
})

test('D7: a token that is not one of ours for this destination is refused', async () => {
  const { door, token, signer, life } = doorway()
  const good = { iss: issuer, aud: 'd-prod', sub: 'u-ana', sid: 's', ...life }
  const payload = encoded(JSON.stringify(good))
  const [header = '', , signature = ''] = token().split('.')
  const publicPem = createPublicKey(signer.privateKey).export({ format: 'pem', type: 'spki' })
  const hs256 = `${encoded('{"alg":"HS256","typ":"infra+jwt","kid":"k1"}')}.${payload}`
  const stranger = new Signer('k1')
  const other = new Signer('k2')
  const { x, y } = stranger.publicKey
  // prettier-ignore
  const bad: Record<string, string> = {
    'of another cluster': token({ aud: 'd-staging' }),
    'for a list of clusters': token({ aud: ['d-prod'] }),
    'for none': token({ aud: undefined }),
    'by name': token({ aud: 'prod' }),
    'of another issuer': token({ iss: 'https://evil.test' }),
    'of no issuer': token({ iss: undefined }),
    'an ID token': token({}, { typ: 'JWT' }),
    'without a type': token({}, { typ: undefined }),
    'with alg none': `${encoded('{"alg":"none","typ":"infra+jwt","kid":"k1"}')}.${payload}.`,
    'with alg none and a signature': `${encoded('{"alg":"none","typ":"infra+jwt","kid":"k1"}')}.${payload}.${signature}`,
    'with HS256 by the public key': `${hs256}.${createHmac('sha256', publicPem).update(hs256).digest('base64url')}`,
    'with ES384 in its header': token({}, { alg: 'ES384' }),
    'of a foreign kid': other.token('u-ana', life),
    'of a foreign key under our kid': stranger.token('u-ana', life),
    'with jku': token({}, { jku: 'https://evil.test/jwks' }),
    'with jwk': stranger.token('u-ana', life, { jwk: { kty: 'EC', crv: 'P-256', x, y } }),
    'with x5u': token({}, { x5u: 'https://evil.test/x' }),
    'with crit': token({}, { crit: ['exp'] }),
    'with b64': token({}, { b64: false, crit: ['b64'] }),
    'without a kid': token({}, { kid: undefined }),
    'with a member twice': signer.compact('{"alg":"ES256","typ":"infra+jwt","alg":"ES256"}', JSON.stringify(good)),
    'with spaces in its header': signer.compact('{"alg": "ES256","typ":"infra+jwt","kid":"k1"}', JSON.stringify(good)),
    'a JWE': `${header}.${payload}.${signature}.${payload}.${signature}`,
    'with parts behind its signature': `${token()}.${payload}.${signature}`,
    'of our key under a kid of nobody': token({}, { kid: 'k9' }),
    'of two parts': `${header}.${payload}`,
    'of one': 'session.secret',
    'with claims changed': `${header}.${encoded(JSON.stringify({ ...good, sub: 'u-bo' }))}.${signature}`,
    'with a signature cut short': token().slice(0, -2),
    'in padded base64': `${token()}=`,
    'in another spelling': respelled(token()),
    'without sub': token({ sub: undefined }),
    'with a sub that is no id': token({ sub: 'ana@example.com' }),
    'without sid': token({ sid: undefined }),
    'with exp as text': token({ exp: String(life.exp) }),
    'with a fraction in iat': token({ iat: life.iat + 0.5 }),
    'without iat': token({ iat: undefined }),
    'without exp': token({ exp: undefined }),
    'that lives for a year': token({ exp: life.iat + 365 * 86_400 }),
    'that has expired': token({ iat: life.iat - 300, exp: life.iat }),
    'from the future': token({ iat: life.iat + 3_600, exp: life.iat + 3_900 }),
    'with claims that are a list': signer.compact('{"alg":"ES256","typ":"infra+jwt","kid":"k1"}', '[]'),
    'with claims that are nothing': signer.compact('{"alg":"ES256","typ":"infra+jwt","kid":"k1"}', 'null'),
    'that is too long': token({ pad: 'a'.repeat(8_192) }),
  }
  for (const [what, text] of Object.entries(bad)) {
    assert.equal((await refused(door, text)).status, 401, `a token ${what}`)
  }
  assert.equal((await knock(door, token())).userId, 'u-ana')
})

/** The same bytes in base64url, with the unused bits of the last character set. */
function respelled(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(token.at(-1) ?? '')
  return `${token.slice(0, -1)}${alphabet[last + 1]}`
}

test('one Authorization header with a Bearer token is all that is taken', async () => {
  const { door, token } = doorway()
  for (const credentials of [
    'bearer T',
    'Bearer  T',
    'T',
    'Basic T',
    'Bearer T, Bearer T',
    'Bearer',
  ]) {
    const line = `Authorization: ${credentials.replaceAll('T', token())}`
    const text = `GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`
    await assert.rejects(door.admit(readRequest(text)), { status: 401 }, credentials)
  }
  const one = { name: 'authorization', written: 'Authorization', value: `Bearer ${token()}` }
  const head = readRequest(requestOf(token()))
  await assert.rejects(door.admit({ ...head, fields: [one, one] }), { status: 401 })
  const without = readRequest('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await assert.rejects(door.admit(without), { status: 401 })
})

test('D7: keys rotate with an overlap, and a key that is gone takes its tokens with it', async () => {
  const { door, token, access, clock, signer, life } = doorway()
  const old = token()
  const next = new Signer('k2')
  await knock(door, old)
  renew(access, accessTo({ signingKeys: [signer.publicKey, next.publicKey] }), clock)
  await knock(door, old)
  await knock(door, next.token('u-ana', life))
  renew(access, accessTo({ signingKeys: [next.publicKey] }), clock)
  assert.equal((await refused(door, old)).status, 401)
  await knock(door, next.token('u-ana', life))
})

test('a token that was good before is judged again at each request', async () => {
  const { door, token, access, clock, signer } = doorway()
  const signingKeys = [signer.publicKey]
  await knock(door, token())
  renew(access, accessTo({ signingKeys, grants: [] }), clock)
  assert.equal((await refused(door, token())).status, 403)
  renew(access, accessTo({ signingKeys, users: [] }), clock)
  assert.equal((await refused(door, token())).status, 403)
  renew(access, accessTo({ signingKeys, endedSessions: ['s-u-ana'] }), clock)
  assert.equal((await refused(door, token())).status, 401)
  renew(access, accessTo({ signingKeys }), clock)
  // The same bytes: each signature is another one, and the door knows tokens by all of them.
  const seen = token()
  await knock(door, seen)
  clock.pass(300_000)
  assert.equal((await refused(door, seen)).cause, 'the token is bad: it has expired')
})

test('D11: a token is refused by its length before anything of it is read', async () => {
  const { door, token } = doorway()
  const { status, cause } = await refused(door, token({ pad: 'a'.repeat(8_192) }))
  assert.equal(status, 401)
  assert.equal(cause, 'the token is bad: it is too long')
})

test('R6: expiry is judged in server time, whatever the clock here says', async () => {
  const { door, token, access, clock } = doorway()
  clock.setWall(600_000)
  const at = new Date(clock.wall() - 600_000).toISOString()
  const revision = access.current?.revision ?? 0
  assert.equal((await refused(door, token())).status, 503)
  access.renew({ kind: 'beat', id: 1, at, epoch: 'e1', revision, since: revision }, clock.elapsed())
  assert.equal((await refused(door, token())).status, 503, 'the ping may be from before the jump')
  clock.pass(1)
  access.renew({ kind: 'beat', id: 2, at, epoch: 'e1', revision, since: revision }, clock.elapsed())
  assert.equal((await knock(door, token())).userId, 'u-ana')
})

test('a lease that ran out is 503, and the sentence says why and since when', async () => {
  const { door, token, clock } = doorway()
  clock.pass(360_000)
  const { status, message } = await refused(door, token())
  assert.equal(status, 503)
  assert.match(message, /no word from its server .*since 2026-01-01T00:06:00\.000Z/)
})

// prettier-ignore
const spoken = [
  'Impersonate-User: system:admin', 'Impersonate-Group: system:masters', 'Impersonate-Uid: 1',
  'Impersonate-Extra-scopes: x', 'Impersonate-Not-Invented-Yet: x', 'IMPERSONATE-USER: x',
  'impersonate_user: x', 'Impersonate: x', 'Impersonate.User: x', 'ImpersonateUser: x',
  'X-Remote-User: x', 'x-remote-group: x', 'X_Remote_User: x', 'X-Remote-Extra-a: x',
]

test('D2: a caller who speaks of identity is refused, by family and not by list', async () => {
  const { door, token } = doorway()
  for (const line of spoken) {
    const { status, message } = await refused(door, token(), line)
    assert.equal(status, 400, line)
    assert.match(message, /the connector alone says who/)
  }
})

// prettier-ignore
const named = [
  'Connection: Impersonate-User', 'Connection: keep-alive, impersonate-group', 'connection: IMPERSONATE_USER',
  'Connection: x-remote-user', 'Keep-Alive: impersonate-user', 'Keep-Alive: timeout=5; Impersonate-User',
  'Proxy-Connection: Impersonate-User', 'TE: Impersonate-User', 'TE: trailers, impersonate-user;q=1',
  'Trailer: Impersonate-Group', 'Connection: Authorization', 'Connection: host', 'Connection: content-length',
  'Connection: audit-id', 'Connection: http2-settings', 'Connection: close, Transfer-Encoding',
]

test('D1: a caller who names our headers as hop by hop is refused', async () => {
  const { door, token } = doorway()
  for (const line of named) {
    assert.equal((await refused(door, token(), line)).status, 400, line)
  }
  const split = await refused(
    door,
    token(),
    'Connection: keep-alive',
    'Connection: Impersonate-User',
  )
  assert.equal(split.status, 400)
  await knock(door, token(), 'Connection: keep-alive, TE', 'TE: trailers', 'Keep-Alive: timeout=5')
})

test('a token in Sec-WebSocket-Protocol is refused', async () => {
  const { door, token } = doorway()
  const protocol = `base64url.bearer.authorization.k8s.io.${encoded(token())}`
  const line = `Sec-WebSocket-Protocol: v5.channel.k8s.io, ${protocol}`
  assert.equal((await refused(door, token(), line)).status, 400)
})

test('a Refusal for a bad token tells the log why and the caller nothing', async () => {
  const { door, token } = doorway()
  const answers = await Promise.all([
    refused(door, token({ aud: 'd-staging' })),
    refused(door, new Signer('k1').token('u-ana')),
  ])
  assert.equal(new Set(answers.map(({ message }) => message)).size, 1)
  assert.equal(new Set(answers.map(({ cause }) => cause)).size, 2)
})

test('two sessions of one user in turn are each let in as themselves', () => {
  const access = new HeldAccess(new HandClock())
  renew(access, accessTo(), new HandClock())
  const lines = (session: string) => identityLines(admittedBy(access, 'u-ana', session))
  for (const session of ['s1', 's2', 's1']) {
    assert.match(lines(session), new RegExp(`infra%2fsession: ${session}\\r\\n$`))
  }
  assert.equal(admittedBy(access, 'u-ana', 's1'), admittedBy(access, 'u-ana', 's1'))
})
