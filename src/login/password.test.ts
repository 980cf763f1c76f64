import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { eq } from 'drizzle-orm'
import { users } from '../db/schema.ts'
import { hashPassword } from '../passwords.ts'
import { type LoginWorld, loginWorld } from './login.fixtures.ts'

/** Ana with a password of her own, and Ben with a one-time one. */
async function stage(t: TestContext) {
  const infra = await loginWorld(t)
  const ana = await infra.user('ana@example.com')
  const passwordHash = await hashPassword('correct horse')
  await infra.db.update(users).set({ passwordHash }).where(eq(users.id, ana.id))
  const ben = await infra.client.users.create({ email: 'ben@example.com' })
  return { infra, ana, ben }
}

const wrong = { code: 'unauthenticated', message: 'wrong e-mail or password' }

const logIn = ({ stranger }: LoginWorld, email: string, password: string, newPassword?: string) =>
  stranger.login.password({ email, password, ...(newPassword ? { newPassword } : {}) })

const kindsOf = async ({ client }: LoginWorld) =>
  (await client.events.list()).map(({ kind }) => kind)

test('a person logs in by e-mail in any case and password, which is no event', async (t) => {
  const { infra, ana } = await stage(t)
  const before = await kindsOf(infra)
  const started = await logIn(infra, 'ANA@example.com', 'correct horse')
  assert.deepEqual(started.user, { id: ana.id, email: ana.email, admin: false })
  assert.equal((await infra.clientOf(started.credential).me.get()).session?.provider, null)
  assert.deepEqual(await kindsOf(infra), before)
  const [row] = await infra.db.select().from(users).where(eq(users.id, ana.id))
  assert.deepEqual(row?.lastLoginAt, infra.clock.now)
})

test('L7: unknown user, no password, disabled user and wrong password get one answer', async (t) => {
  const { infra, ana } = await stage(t)
  await infra.user('nopassword@example.com')
  await assert.rejects(logIn(infra, 'nobody@example.com', 'correct horse'), wrong)
  await assert.rejects(logIn(infra, 'nopassword@example.com', ''), wrong)
  await assert.rejects(logIn(infra, ana.email, 'correct hors'), wrong)
  await infra.client.users.update({ user: ana.id, disabled: true })
  await assert.rejects(logIn(infra, ana.email, 'correct horse'), wrong)
  for (const why of ['unknown user', 'has no password', 'wrong password for', 'is disabled']) {
    assert.ok(infra.said().includes(why), why)
  }
  assert.ok(!infra.said().includes('correct hors'), 'no password is logged')
})

test('a one-time password lets nobody in until it is replaced, and only once', async (t) => {
  const { infra, ben } = await stage(t)
  await assert.rejects(logIn(infra, ben.email, ben.password), {
    code: 'conflict',
    message: 'a new password must be set',
  })
  await assert.rejects(logIn(infra, ben.email, ben.password, ben.password), { code: 'invalid' })
  const started = await logIn(infra, ben.email, ben.password, 'battery staple')
  assert.equal(started.user.id, ben.id)
  assert.deepEqual((await kindsOf(infra)).at(-1), 'user.password_changed')
  await assert.rejects(logIn(infra, ben.email, ben.password, 'another one'), wrong)
  await logIn(infra, ben.email, 'battery staple')
})

test('a one-time password used twice at the same instant lets one in', async (t) => {
  const { infra, ben } = await stage(t)
  const both = ['first choice', 'second choice'].map((chosen) =>
    logIn(infra, ben.email, ben.password, chosen),
  )
  const answers = await Promise.allSettled(both)
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

test('a new password that was not needed is said to be unused', async (t) => {
  const { infra, ana } = await stage(t)
  const started = await logIn(infra, ana.email, 'correct horse', 'battery staple')
  assert.match(started.warnings.join(), /stays as it is/)
  await logIn(infra, ana.email, 'correct horse')
})

test('a changed password ends the other sessions and keeps the one that asked', async (t) => {
  const { infra, ana } = await stage(t)
  const here = infra.clientOf((await logIn(infra, ana.email, 'correct horse')).credential)
  await here.me.changePassword({ oldPassword: 'correct horse', newPassword: 'battery staple' })
  await here.me.get()
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
  const last = (await infra.client.events.list()).at(-1)
  assert.equal(last?.kind, 'user.password_changed')
  assert.equal(last.detail['endedSessions'], 1)
  await assert.rejects(logIn(infra, ana.email, 'correct horse'), wrong)
})

test('changing a password needs the old one, whose guesses are counted', async (t) => {
  const { ana } = await stage(t)
  const change = (oldPassword: string) =>
    ana.client.me.changePassword({ oldPassword, newPassword: 'battery staple' })
  await assert.rejects(
    ana.client.me.changePassword({ oldPassword: 'correct horse', newPassword: 'correct horse' }),
    { code: 'invalid' },
  )
  for (let tries = 0; tries < 10; tries += 1) {
    await assert.rejects(change('wrong'), { code: 'forbidden' })
  }
  await assert.rejects(change('correct horse'), { code: 'too_many' })
})

test('the offer names password and the providers that are not disabled', async (t) => {
  const { infra } = await stage(t)
  const made = { issuer: 'https://id.example.com', clientId: 'infra', clientSecret: 'hush-hush' }
  await infra.client.providers.create({ ...made, name: 'okta' })
  await infra.client.providers.create({ ...made, name: 'dex' })
  await infra.client.providers.update({ provider: 'dex', disabled: true })
  assert.deepEqual(await infra.stranger.login.offer(), {
    password: true,
    providers: [
      { name: 'okta', issuer: made.issuer, loopbackHost: '127.0.0.1', anyLoopbackPort: false },
    ],
  })
})
