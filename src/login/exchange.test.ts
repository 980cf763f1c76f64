/** Logins against a provider that lies. Each lie is told alone; nobody is let in by any of them. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  type HostileProvider,
  startHostileProvider,
  type Wrong,
} from '../../test/hostile-provider.ts'
import { authentication } from './exchange.ts'
import {
  addProvider,
  assertNobodyIn,
  begin,
  finish,
  type LoginWorld,
  loginWorld,
} from './login.fixtures.ts'

type Stage = { infra: LoginWorld; provider: HostileProvider }

async function stage(t: TestContext): Promise<Stage> {
  const provider = await startHostileProvider()
  t.after(provider.stop)
  const infra = await loginWorld(t)
  await addProvider(infra, provider)
  return { infra, provider }
}

async function logIn({ infra, provider }: Stage, wrong: Wrong) {
  provider.wrong = wrong
  const begun = await begin(infra)
  return finish(infra, begun, provider.authorize(begun.authorizationUrl))
}

/** Each of `lies` is refused with nobody let in, and nothing secret is said about it. */
async function refuses(t: TestContext, lies: Record<string, Wrong>): Promise<void> {
  const on = await stage(t)
  for (const [name, wrong] of Object.entries(lies)) {
    await assert.rejects(logIn(on, wrong), { code: 'unauthenticated' }, name)
    await assertNobodyIn(on.infra)
  }
  // The stage itself is sound: without a lie the same login succeeds.
  const started = await logIn(on, {})
  assert.equal(started.user.email, 'ana@example.com')
  assertNothingLeaked(on)
}

function assertNothingLeaked({ infra, provider }: Stage): void {
  const said = infra.said()
  const { secret } = provider.client
  const verifiers = provider.requests.map(({ form }) => form.get('code_verifier') ?? '')
  const basic = provider.requests.flatMap(({ authorization }) => authorization?.split(' ')[1] ?? [])
  const parts = provider.issued.flatMap((token) => [token, token.split('.')[2] ?? ''])
  const secrets = [secret, ...verifiers, ...basic, ...parts].filter((text) => text.length > 8)
  assert.ok(secrets.length > 3, 'there is something to search for')
  for (const one of secrets) assert.ok(!said.includes(one), `${one} was said`)
}

test('L1: the claims of an ID token must be for this login', (t) =>
  refuses(t, {
    'nonce wrong': { claims: (claims) => (claims['nonce'] = 'another') },
    'nonce missing': { claims: (claims) => delete claims['nonce'] },
    'iss wrong': { claims: (claims) => (claims['iss'] = 'https://accounts.example.com') },
    'iss missing': { claims: (claims) => delete claims['iss'] },
    'aud wrong': { claims: (claims) => (claims['aud'] = 'another-client') },
    'aud missing': { claims: (claims) => delete claims['aud'] },
    'aud of others': { claims: (claims) => (claims['aud'] = ['a', 'b']) },
    'aud with others': { claims: (claims) => (claims['aud'] = ['infra', 'b']) },
    'azp of another': { claims: (claims) => (claims['azp'] = 'another-client') },
    expired: { claims: (claims) => (claims['exp'] = Math.floor(Date.now() / 1000) - 60) },
    'exp missing': { claims: (claims) => delete claims['exp'] },
    'not yet': { claims: (claims) => (claims['nbf'] = Math.floor(Date.now() / 1000) + 600) },
    'sub missing': { claims: (claims) => delete claims['sub'] },
    'sub no text': { claims: (claims) => (claims['sub'] = 7) },
  }))

test('L1: an ID token that is unsigned, wrongly signed or signed by another key is refused', (t) =>
  refuses(t, {
    none: { sign: 'none' },
    'none with signature': { sign: 'none with signature' },
    'HS256 with the client secret': { sign: 'hs256' },
    'another key': { sign: 'another key' },
    'altered after signing': { sign: 'altered' },
    'unknown kid': { header: (header) => (header['kid'] = 'unknown') },
    'kid of nobody': { header: (header) => (header['kid'] = ''), sign: 'another key' },
    'critical extension': {
      header: (header) => Object.assign(header, { b64: true, crit: ['b64'] }),
    },
    'no ID token': { token: (answer) => delete answer['id_token'] },
    'no JWT': { token: (answer) => (answer['id_token'] = 'eyJhbGciOiJub25lIn0') },
    encrypted: { token: (answer) => (answer['id_token'] = 'a.b.c.d.e') },
  }))

test('L1: an e-mail that is not verified, missing or no name lets nobody in', (t) =>
  refuses(t, {
    'not verified': { claims: (claims) => (claims['email_verified'] = false) },
    'verified in words': { claims: (claims) => (claims['email_verified'] = 'true') },
    'no e-mail anywhere': {
      claims: (claims) => delete claims['email'],
      userinfo: (claims) => delete claims['email'],
    },
    'reserved name': { claims: (claims) => (claims['email'] = 'system:admin@example.com') },
    'two lines': { claims: (claims) => (claims['email'] = 'a@example.com\r\nx: y') },
  }))

test('L1: userinfo about another subject is refused', (t) =>
  refuses(t, {
    'another subject': {
      claims: (claims) => delete claims['email'],
      userinfo: (claims) => (claims['sub'] = 'b-1002'),
    },
    'no subject': {
      claims: (claims) => delete claims['email'],
      userinfo: (claims) => delete claims['sub'],
    },
  }))

test('L2: a callback without the iss that the provider promises, or with another, is refused', (t) =>
  refuses(t, {
    'iss missing': { callback: (query) => query.delete('iss') },
    'iss of another': { callback: (query) => query.set('iss', 'https://accounts.example.com') },
    'iss twice': { callback: (query) => query.append('iss', query.get('iss') ?? '') },
    'code twice': { callback: (query) => query.append('code', 'another') },
    'no code': { callback: (query) => query.delete('code') },
    'implicit flow': { callback: (query) => query.set('id_token', 'a.b.c') },
    error: { callback: (query) => query.set('error', 'server_error') },
    'error with an escape': { callback: (query) => query.set('error', '\u001b[31mred') },
  }))

test('a token endpoint that answers anything but tokens lets nobody in', (t) =>
  refuses(t, {
    'status 500': { tokenStatus: 500 },
    'status 302': { tokenStatus: 302 },
    invalid_grant: { tokenStatus: 400, token: (answer) => (answer['error'] = 'invalid_grant') },
    'no access token': { token: (answer) => delete answer['access_token'] },
    'another kind of token': { token: (answer) => (answer['token_type'] = 'mac') },
  }))

test('L1: a provider that calls itself otherwise, or has no page to log in at, begins nothing', async (t) => {
  const { infra, provider } = await stage(t)
  const lies: Wrong['discovery'][] = [
    (document) => (document['issuer'] = 'https://accounts.example.com'),
    (document) => (document['issuer'] = `${provider.issuer}/`),
    (document) => delete document['issuer'],
    (document) => (document['authorization_endpoint'] = 'javascript:alert(1)'),
    (document) => (document['authorization_endpoint'] = 'file:///bin/sh'),
    (document) => delete document['authorization_endpoint'],
  ]
  for (const discovery of lies) {
    provider.wrong = discovery ? { discovery } : {}
    await assert.rejects(begin(infra), { code: 'unauthenticated' }, String(discovery))
  }
})

test('what the token request carries: the secret by header, the code, the verifier, the redirect', async (t) => {
  const on = await stage(t)
  await logIn(on, {})
  const [request] = on.provider.requests
  const { id, secret } = on.provider.client
  const basic = `Basic ${Buffer.from(`${id}:${encodeURIComponent(secret).replaceAll('-', '%2D')}`).toString('base64')}`
  assert.equal(request?.authorization, basic)
  const { code_verifier, code, ...rest } = Object.fromEntries(request?.form ?? [])
  assert.match(code_verifier ?? '', /^[A-Za-z0-9_-]{43}$/)
  assert.match(code ?? '', /^[0-9a-f]{32}$/)
  assert.deepEqual(rest, {
    grant_type: 'authorization_code',
    redirect_uri: 'http://127.0.0.1:8000/callback/local',
  })
})

test('L10: client secret, code_verifier and tokens are in no answer and in no line of the log', async (t) => {
  const on = await stage(t)
  const { email } = (await logIn(on, {})).user
  assert.equal(email, 'ana@example.com')
  on.provider.wrong = { sign: 'another key' }
  await assert.rejects(logIn(on, on.provider.wrong))
  assertNothingLeaked(on)
  const listed = JSON.stringify(await on.infra.client.providers.list())
  const recorded = JSON.stringify(await on.infra.client.events.list())
  assert.ok(listed.includes('"hasClientSecret":true'))
  for (const text of [listed, recorded]) assert.ok(!text.includes(on.provider.client.secret))
})

test('userinfo is asked when the ID token does not say it all, and only then', async (t) => {
  const on = await stage(t)
  await logIn(on, {})
  assert.equal(on.provider.userinfoAsked, 0)
  const started = await logIn(on, { claims: (claims) => delete claims['email'] })
  assert.equal(on.provider.userinfoAsked, 1)
  assert.equal(started.user.email, 'ana@example.com')
})

test('a confidential client proves itself in a way that the provider lists', async () => {
  const server = (methods?: string[]) => ({
    issuer: 'https://id.example.com',
    ...(methods ? { token_endpoint_auth_methods_supported: methods } : {}),
  })
  const sent = async (methods?: string[], secret: string | null = 'a b') => {
    const headers = new Headers()
    const body = new URLSearchParams()
    await authentication(server(methods), secret)(server(), { client_id: 'infra' }, body, headers)
    return [headers.get('authorization') !== null, body.get('client_secret')]
  }
  assert.deepEqual(await sent(), [true, null])
  assert.deepEqual(await sent(['client_secret_post', 'client_secret_basic']), [true, null])
  assert.deepEqual(await sent(['client_secret_post']), [false, 'a b'])
  assert.deepEqual(await sent(['client_secret_basic'], null), [false, null])
  await assert.rejects(sent(['private_key_jwt']), { code: 'unauthenticated' })
})

test('D3: a claim that no database can keep, a NUL in a name say, keeps nobody out and no group from being followed', async (t) => {
  const on = await stage(t)
  const started = await logIn(on, {
    claims: (claims) => {
      claims['nickname'] = 'a\0b'
      claims['half'] = '\ud800'
      claims['k\0'] = [{ 'x\0': '\0' }]
      claims['deep'] = JSON.parse(`${'['.repeat(3000)}${']'.repeat(3000)}`) as unknown
      claims['groups'] = ['dev', 'a\0b', '\udfff']
    },
  })
  const { user } = await on.infra.clientOf(started.credential).me.get()
  assert.deepEqual(user.groups, ['local/dev'])
  assert.equal(started.warnings.length, 2)
})

test('L8: inner addresses in what a provider says of itself lead nowhere', async (t) => {
  const inner = [
    'http://169.254.169.254/latest',
    'http://2852039166/',
    'http://[::ffff:a9fe:a9fe]/',
  ]
  for (const [at, name] of ['token_endpoint', 'jwks_uri', 'token_endpoint'].entries()) {
    const on = await stage(t)
    const discovery = (document: Record<string, unknown>) => void (document[name] = inner[at])
    await assert.rejects(logIn(on, { discovery }), { code: 'unavailable', message: /not allowed/ })
    await assertNobodyIn(on.infra)
  }
})
