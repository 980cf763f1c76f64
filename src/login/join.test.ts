/** Which user an identity becomes: security.md L1, "e-mail joined accounts". */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { type HostileProvider, startHostileProvider } from '../../test/hostile-provider.ts'
import { identities, sessions, users } from '../db/schema.ts'
import type { NewProvider } from '../wire/providers.ts'
import { whyNotJoin } from './join.ts'
import { addProvider, begin, finish, type LoginWorld, loginWorld } from './login.fixtures.ts'

async function stage(t: TestContext, rules: Partial<NewProvider> = {}) {
  const provider = await startHostileProvider()
  t.after(provider.stop)
  const infra = await loginWorld(t)
  await addProvider(infra, provider, rules)
  return { infra, provider }
}

async function logIn(
  { infra, provider }: { infra: LoginWorld; provider: HostileProvider },
  claims: Record<string, unknown> = {},
) {
  provider.wrong = { claims: (said) => Object.assign(said, claims) }
  const begun = await begin(infra)
  return finish(infra, begun, provider.authorize(begun.authorizationUrl))
}

const trusting = { trustedDomains: ['example.com'] }

test('L1: a verified e-mail of a trusted domain joins the user who bears it', async (t) => {
  const on = await stage(t, trusting)
  const ana = await on.infra.user('ana@example.com')
  const started = await logIn(on)
  assert.equal(started.user.id, ana.id)
  const [event] = (await on.infra.client.events.list()).filter(
    ({ kind }) => kind === 'identity.linked',
  )
  assert.deepEqual(event?.detail['identity'], { issuer: on.provider.issuer, subject: 'a-1001' })
  assert.equal((await logIn(on)).user.id, ana.id)
})

test('L1: without that trust an existing user is joined by nobody', async (t) => {
  const on = await stage(t, { trustedDomains: ['other.org'], vouchesForEmails: true })
  const ana = await on.infra.user('ana@example.com')
  await assert.rejects(logIn(on), {
    code: 'unauthenticated',
    message: /an administrator must trust/,
  })
  assert.deepEqual(await on.infra.db.select().from(identities), [])
  assert.equal(await on.infra.db.$count(sessions), 2)
  assert.ok(ana)
})

test('L1: an e-mail that only a setting vouches for joins nobody, though the domain is trusted', async (t) => {
  const on = await stage(t, { ...trusting, vouchesForEmails: true })
  await on.infra.user('ana@example.com')
  await assert.rejects(logIn(on, { email_verified: false }), { code: 'unauthenticated' })
  const bea = await logIn(on, { email: 'bea@example.com', sub: 'b', email_verified: false })
  assert.equal(bea.user.email, 'bea@example.com')
})

test('L1: an e-mail given to another person at the provider does not bring the access along', async (t) => {
  const on = await stage(t, trusting)
  await on.infra.user('ana@example.com')
  await logIn(on)
  await assert.rejects(logIn(on, { sub: 'z-9999' }), {
    code: 'unauthenticated',
    message: /another person/,
  })
})

test('a known subject stays its user whatever the e-mail says, also that of somebody else', async (t) => {
  const on = await stage(t, trusting)
  const first = await logIn(on)
  await on.infra.user('boss@example.com')
  const again = await logIn(on, { email: 'boss@example.com' })
  assert.deepEqual(again.user, first.user)
  const [kept] = await on.infra.db.select().from(identities)
  assert.equal(kept?.email, 'boss@example.com')
})

test('a disabled user is refused, known or about to be joined, and the log says why', async (t) => {
  const on = await stage(t, trusting)
  const ana = await on.infra.user('ana@example.com')
  await on.infra.client.users.update({ user: ana.id, disabled: true })
  await assert.rejects(logIn(on), { code: 'unauthenticated', message: /was refused/ })
  assert.deepEqual(await on.infra.db.select().from(identities), [])
  await on.infra.client.users.update({ user: ana.id, disabled: false })
  await logIn(on)
  await on.infra.client.users.update({ user: ana.id, disabled: true })
  await assert.rejects(logIn(on), { code: 'unauthenticated' })
  assert.ok(on.infra.said().includes(`the user ${ana.id} is disabled`))
})

test('two first logins at once make one user', async (t) => {
  const on = await stage(t)
  on.provider.wrong = {}
  const begun = [await begin(on.infra), await begin(on.infra)]
  const both = await Promise.all(
    begun.map((one) => finish(on.infra, one, on.provider.authorize(one.authorizationUrl))),
  )
  assert.equal(both[0]?.user.id, both[1]?.user.id)
  assert.equal(await on.infra.db.$count(users), 2)
  assert.equal(await on.infra.db.$count(identities), 1)
})

test('a group that cannot be a name is left out with a warning, and the login goes on', async (t) => {
  const on = await stage(t)
  const started = await logIn(on, { groups: ['x'.repeat(250), 'dev'] })
  assert.equal(started.warnings.length, 1)
  const me = await on.infra.clientOf(started.credential).me.get()
  assert.deepEqual(me.user.groups, ['local/dev'])
})

test('joining needs a verified e-mail, a trusted domain and a user not joined before', () => {
  const okta = { name: 'okta', trustedDomains: ['example.com'] }
  const ana = { email: 'ana@example.com', isEmailVerified: true }
  assert.equal(whyNotJoin(ana, okta, false), null)
  assert.match(whyNotJoin({ ...ana, isEmailVerified: false }, okta, false) ?? '', /administrator/)
  assert.match(whyNotJoin({ ...ana, email: 'ana@sub.example.com' }, okta, false) ?? '', /trust/)
  assert.match(whyNotJoin(ana, { ...okta, trustedDomains: [] }, false) ?? '', /trust/)
  assert.match(whyNotJoin(ana, okta, true) ?? '', /another person/)
})
