/** Logins against a real provider, `oidc-provider`; one that lies is in `exchange.test.ts`. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { clientFor, type LocalProvider, startProvider } from '../../test/provider.ts'
import { events, users } from '../db/schema.ts'
import {
  addProvider,
  assertNobodyIn,
  begin,
  finish,
  type LoginWorld,
  loginWorld,
  pendingLogins,
} from './login.fixtures.ts'
import { authorizationUrl } from './authorization.ts'

async function worldWithProvider(
  t: TestContext,
): Promise<{ infra: LoginWorld; provider: LocalProvider }> {
  const provider = await startProvider({
    clients: [clientFor('local'), { ...clientFor('other'), id: 'somebody-else' }],
  })
  t.after(provider.stop)
  const infra = await loginWorld(t)
  await addProvider(infra, provider)
  return { infra, provider }
}

test('a person logs in with a provider, is made a user, and has the groups it names', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const begun = await begin(infra)
  const started = await finish(infra, begun, await provider.login(begun.authorizationUrl, 'Ana'))
  assert.equal(started.user.email, 'ana@example.com')
  assert.equal(started.user.admin, false)
  assert.deepEqual(started.warnings, [])
  const me = await infra.clientOf(started.credential).me.get()
  assert.deepEqual(me.user.groups, ['local/dev', 'local/ops'])
  assert.equal(me.session?.provider, 'local')
  const kinds = (await infra.client.events.list()).map(({ kind }) => kind)
  assert.ok(kinds.includes('user.created'))
})

test('who logs in again is the same user, and a login that changes nothing is no event', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const logIn = async () => {
    const begun = await begin(infra)
    return finish(infra, begun, await provider.login(begun.authorizationUrl, 'Ana'))
  }
  const first = await logIn()
  const before = await infra.db.$count(events)
  const second = await logIn()
  assert.equal(second.user.id, first.user.id)
  assert.notEqual(second.session, first.session)
  assert.equal(await infra.db.$count(events), before)
})

test('groups left at the provider are left at the next login, and the user keeps the name', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const first = await begin(infra)
  await finish(infra, first, await provider.login(first.authorizationUrl, 'Ana'))
  const ana = provider.person('Ana')
  ana.groups = ['dev', 'system:masters']
  ana.email = 'ana.new@example.com'
  const begun = await begin(infra)
  const started = await finish(infra, begun, await provider.login(begun.authorizationUrl, 'Ana'))
  assert.equal(started.user.email, 'ana@example.com')
  assert.equal(started.warnings.length, 1)
  const me = await infra.clientOf(started.credential).me.get()
  assert.deepEqual(me.user.groups, ['local/dev'])
})

test('a public client logs in by PKCE alone', async (t) => {
  const provider = await startProvider({ clients: [{ ...clientFor('local'), secret: null }] })
  t.after(provider.stop)
  const infra = await loginWorld(t)
  await addProvider(infra, provider)
  const begun = await begin(infra)
  const started = await finish(infra, begun, await provider.login(begun.authorizationUrl, 'Ben'))
  assert.equal(started.user.email, 'ben@example.com')
})

test('L1: a wrong, missing or doubled state is refused', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const changes: ((query: URLSearchParams) => void)[] = [
    (query) => query.set('state', 'another'),
    (query) => query.set('state', ''),
    (query) => query.delete('state'),
    (query) => query.append('state', query.get('state') ?? ''),
  ]
  for (const change of changes) {
    const begun = await begin(infra)
    const callback = new URL(await provider.login(begun.authorizationUrl, 'Ana'))
    change(callback.searchParams)
    await assert.rejects(finish(infra, begun, callback.href), { code: 'unauthenticated' })
  }
  await assertNobodyIn(infra)
})

test('L1, L4: the callback of one login does not finish another', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const victim = await begin(infra)
  const attacker = await begin(infra)
  const callback = await provider.login(victim.authorizationUrl, 'Ana')
  await assert.rejects(finish(infra, attacker, callback), { code: 'unauthenticated' })
  await assertNobodyIn(infra)
})

test('L4: only the CLI that began a login finishes it, and a wrong verifier spends it', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const begun = await begin(infra)
  const other = await begin(infra)
  const callback = await provider.login(begun.authorizationUrl, 'Ana')
  const stolen = { login: begun.login, verifier: other.verifier }
  await assert.rejects(finish(infra, stolen, callback), { code: 'unauthenticated' })
  await assert.rejects(finish(infra, begun, callback), { code: 'unauthenticated' })
  await assertNobodyIn(infra)
})

test('L4: a login is finished once, also when it is finished twice at the same instant', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const begun = await begin(infra)
  const callback = await provider.login(begun.authorizationUrl, 'Ana')
  const both = [finish(infra, begun, callback), finish(infra, begun, callback)]
  const answers = await Promise.allSettled(both)
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  await assert.rejects(finish(infra, begun, callback), { code: 'unauthenticated' })
  assert.equal(await pendingLogins(infra), 0)
})

test('L1: a wrong code, a spent one and one of another client are refused', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const codeOf = async (url: string) =>
    new URL(await provider.login(url, 'Ana')).searchParams.get('code') ?? ''
  const spent = await begin(infra)
  const spentCallback = await provider.login(spent.authorizationUrl, 'Ben')
  await finish(infra, spent, spentCallback)
  const codes = [
    async () => 'no-such-code',
    async () => '',
    async () => new URL(spentCallback).searchParams.get('code') ?? '',
    (url: string) => {
      const foreign = new URL(url)
      foreign.searchParams.set('client_id', 'somebody-else')
      foreign.searchParams.set('redirect_uri', 'http://127.0.0.1:8000/callback/other')
      return codeOf(foreign.href)
    },
    // Of this client and for this redirect URI, but begun with another code_verifier.
    (url: string) => {
      const foreign = new URL(url)
      const challenge = createHash('sha256').update('x'.repeat(43)).digest('base64url')
      foreign.searchParams.set('code_challenge', challenge)
      return codeOf(foreign.href)
    },
  ]
  const before = await infra.db.$count(users)
  for (const code of codes) {
    const begun = await begin(infra)
    const callback = new URL(await provider.login(begun.authorizationUrl, 'Ana'))
    callback.searchParams.set('code', await code(begun.authorizationUrl))
    await assert.rejects(finish(infra, begun, callback.href), { code: 'unauthenticated' })
  }
  assert.equal(await infra.db.$count(users), before)
})

test('L1: a redirect URI that is not the loopback address of this provider begins nothing', async (t) => {
  const { infra } = await worldWithProvider(t)
  for (const redirectUri of [
    'http://127.0.0.1:8001/callback/local',
    'http://127.0.0.1:8000/callback/other',
    'http://localhost:8000/callback/local',
    'https://example.com/callback/local',
    'http://127.0.0.1:8000/callback/local/',
  ]) {
    await assert.rejects(begin(infra, 'local', redirectUri), { code: 'invalid' }, redirectUri)
  }
  assert.equal(await pendingLogins(infra), 0)
})

test('L2: a code of one provider is not taken to another', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const evil = await startProvider({ clients: [clientFor('evil')] })
  t.after(evil.stop)
  await addProvider(infra, evil, { name: 'evil' })
  const honest = await begin(infra)
  const callback = new URL(await provider.login(honest.authorizationUrl, 'Ana'))
  // The evil provider sent the browser on to the honest one, to be handed the honest code.
  const confused = await begin(infra, 'evil')
  callback.searchParams.set('state', confused.state)
  await assert.rejects(finish(infra, confused, callback.href), {
    code: 'unauthenticated',
    message: /iss/,
  })
  await assertNobodyIn(infra)
})

test('a login that took more than ten minutes is refused', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const begun = await begin(infra)
  const callback = await provider.login(begun.authorizationUrl, 'Ana')
  infra.clock.now = new Date(infra.clock.now.getTime() + 10 * 60_000)
  await assert.rejects(finish(infra, begun, callback), {
    code: 'unauthenticated',
    message: /too long/,
  })
  await assertNobodyIn(infra)
})

test('L6: a provider disabled or deleted meanwhile lets nobody in', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const begun = await begin(infra)
  const callback = await provider.login(begun.authorizationUrl, 'Ana')
  await infra.client.providers.update({ provider: 'local', disabled: true })
  await assert.rejects(finish(infra, begun, callback), { code: 'unauthenticated' })
  await assert.rejects(begin(infra), { code: 'not_found' })
  await infra.client.providers.update({ provider: 'local', disabled: false })
  const again = await begin(infra)
  const late = await provider.login(again.authorizationUrl, 'Ana')
  await infra.client.providers.delete('local')
  await assert.rejects(finish(infra, again, late), { code: 'unauthenticated' })
  await assertNobodyIn(infra)
})

test('who cancels at the provider is told so', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const begun = await begin(infra)
  const callback = await provider.login(begun.authorizationUrl, null)
  await assert.rejects(finish(infra, begun, callback), {
    code: 'unauthenticated',
    message: /it says access_denied/,
  })
  await assertNobodyIn(infra)
})

test('a provider that is down is unavailable, which is nobody’s fault', async (t) => {
  const { infra, provider } = await worldWithProvider(t)
  const begun = await begin(infra)
  const callback = await provider.login(begun.authorizationUrl, 'Ana')
  await provider.stop()
  await assert.rejects(finish(infra, begun, callback), { code: 'unavailable' })
  await assertNobodyIn(infra)
})

test('a stranger who begins login after login is stopped, and old ones are forgotten', async (t) => {
  const { infra } = await worldWithProvider(t)
  await begin(infra)
  infra.clock.now = new Date(infra.clock.now.getTime() + 11 * 60_000)
  await begin(infra)
  assert.equal(await pendingLogins(infra), 1)
  const many = await Promise.allSettled(Array.from({ length: 300 }, () => begin(infra)))
  const refused = many.filter((answer) => answer.status === 'rejected')
  assert.equal(refused.length, 2)
  assert.equal(refused[0]?.reason.code, 'too_many')
})

test('only what the provider lists is asked for, and consent only for a refresh token', () => {
  const kept = {
    redirectUri: 'http://127.0.0.1:8000/callback/x',
    state: 's',
    nonce: 'n',
    codeVerifier: 'v',
  }
  const asked = (scopes: string[], listed?: string[]) => {
    const server = {
      authorization_endpoint: 'https://id.example.com/authorize?tenant=1',
      ...(listed ? { scopes_supported: listed } : {}),
    }
    const url = new URL(authorizationUrl(server, { clientId: 'infra', scopes }, kept))
    const { scope, prompt, tenant } = Object.fromEntries(url.searchParams)
    return { scope, prompt, tenant }
  }
  const wanted = ['openid', 'email', 'groups', 'offline_access']
  assert.deepEqual(asked(wanted, ['email', 'offline_access']), {
    scope: 'openid email offline_access',
    prompt: 'consent',
    tenant: '1',
  })
  assert.deepEqual(asked(wanted, ['openid', 'email', 'groups']), {
    scope: 'openid email groups',
    prompt: undefined,
    tenant: '1',
  })
  assert.equal(asked(wanted).scope, 'openid email offline_access')
})
