/** The loop against a real provider, `oidc-provider`, behind a front that counts and fails. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { and, eq, isNull } from 'drizzle-orm'
import { type Front, startFront } from '../../test/front.ts'
import { clientFor, type LocalProvider, type Person, startProvider } from '../../test/provider.ts'
import { until } from '../../test/processes.ts'
import { accessKeys, providerTokens, questions, sessions } from '../db/schema.ts'
import { expire } from '../expiry.ts'
import { addProvider, begin, finish, type LoginWorld, loginWorld } from '../login/login.fixtures.ts'
import type { Event } from '../wire/events.ts'
import type { NewProvider } from '../wire/providers.ts'
import { Revalidate } from './revalidate.ts'

const intervalSeconds = 10
const graceSeconds = 60

type Scene = {
  infra: LoginWorld
  provider: LocalProvider
  front: Front
  loop: Revalidate
  /** A server process beside the first. */
  another(): Revalidate
  logIn(name: string): Promise<{ session: string; credential: string; user: { id: string } }>
  /** Lets time go by, second after second, and has the loop look each time. */
  pass(seconds: number, loops?: Revalidate[]): Promise<void>
  live(): Promise<string[]>
  events(kind: string): Promise<Event[]>
}

async function scene(
  t: TestContext,
  { rules = {}, people }: { rules?: Partial<NewProvider>; people?: Person[] } = {},
): Promise<Scene> {
  const front = await startFront(t)
  const clients = [clientFor('local')] as [ReturnType<typeof clientFor>]
  const provider = await startProvider({
    ...{ publicUrl: front.url, clients },
    ...(people ? { people } : {}),
  })
  t.after(provider.stop)
  front.behind = provider.address
  const infra = await loginWorld(t, {
    revalidateSeconds: intervalSeconds,
    revalidateGraceSeconds: graceSeconds,
  })
  await addProvider(infra, provider, rules)
  const clock = (): Date => infra.clock.now
  const wait = async (ms: number) => void (infra.clock.now = new Date(clock().getTime() + ms))
  const another = () =>
    new Revalidate({ ...infra, providerFetch: infra.providerFetch, clock, wait })
  const loop = another()
  return {
    ...{ infra, provider, front, loop, another },
    logIn: async (name) => {
      const begun = await begin(infra)
      return finish(infra, begun, await provider.login(begun.authorizationUrl, name))
    },
    pass: async (seconds, loops = [loop]) => {
      for (let second = 0; second < seconds; second += 1) {
        infra.clock.now = new Date(clock().getTime() + 1000)
        await Promise.all(loops.map((one) => one.look()))
        await Promise.all(loops.map((one) => one.settled()))
      }
    },
    live: async () => {
      const isTheirs = and(isNull(sessions.endedAt), eq(sessions.userId, sessions.userId))
      const rows = await infra.db.select().from(sessions).where(isTheirs)
      return rows.filter(({ providerId }) => providerId !== null).map(({ id }) => id)
    },
    events: async (kind) => (await infra.client.events.list()).filter((one) => one.kind === kind),
  }
}

async function grantTo(infra: LoginWorld, user: string): Promise<string> {
  const { id } = await infra.client.destinations.create({ name: 'prod' })
  await infra.client.grants.create({ user, destination: 'prod', role: 'view' })
  return id
}

test('a person who stands keeps the session, and is asked about once an interval', async (t) => {
  const { front, pass, logIn, live, infra } = await scene(t)
  const ana = await logIn('Ana')
  const before = front.count('/token')
  await pass(5 * intervalSeconds)
  assert.equal(front.count('/token') - before, 5)
  assert.deepEqual(await live(), [ana.session])
  assert.equal((await infra.clientOf(ana.credential).me.get()).user.email, 'ana@example.com')
})

test('a person disabled at the provider loses every session within an interval, and the destinations are told', async (t) => {
  const { infra, provider, pass, logIn, live, events } = await scene(t)
  const ana = await logIn('Ana')
  const again = await logIn('Ana')
  const ben = await logIn('Ben')
  const prod = await grantTo(infra, 'ana@example.com')
  await pass(intervalSeconds)
  provider.person('Ana').disabled = true
  await pass(intervalSeconds)
  assert.deepEqual(await live(), [ben.session])
  const ended = await events('session.ended')
  const named = ended.map(({ detail }) => String(detail['session']))
  assert.deepEqual(named.toSorted(), [ana.session, again.session].toSorted())
  for (const event of ended) {
    assert.deepEqual(event.destinations, [prod])
    assert.deepEqual(event.actor, { kind: 'system', id: null, name: 'infra' })
    assert.equal(event.detail['reason'], 'the provider says invalid_grant')
    assert.equal(event.detail['provider'], 'local')
  }
  await assert.rejects(infra.clientOf(ana.credential).me.get(), { code: 'unauthenticated' })
})

test('groups are followed anew, and a claim that no longer meets the rule ends the sessions', async (t) => {
  const { infra, provider, pass, logIn, live, events } = await scene(t, {
    rules: { allowedDomains: ['example.com'] },
  })
  const ana = await logIn('Ana')
  const groups = async () => (await infra.clientOf(ana.credential).me.get()).user.groups
  assert.deepEqual(await groups(), ['local/dev', 'local/ops'])
  provider.person('Ana').groups = ['dev', 'night']
  await pass(intervalSeconds)
  assert.deepEqual(await groups(), ['local/dev', 'local/night'])
  provider.person('Ana').email = 'ana@elsewhere.example'
  await pass(intervalSeconds)
  assert.deepEqual(await live(), [])
  const [event] = await events('session.ended')
  assert.match(String(event?.detail['reason']), /elsewhere\.example may not log in/)
})

test('troubles end nobody’s session before the grace period, and questions are back within an interval', async (t) => {
  const faults = [
    () => ({ status: 500, body: 'Internal Server Error' }),
    () => ({ status: 500, body: JSON.stringify({ error: 'server_error' }) }),
    () => ({ status: 502, body: '<html>' }),
    () => ({ status: 401, body: JSON.stringify({ error: 'invalid_client' }) }),
    () => ({ status: 302, headers: { location: 'http://elsewhere.example/' } }),
    () => 'lose' as const,
  ]
  const { front, provider, pass, logIn, live, events } = await scene(t)
  for (const fault of faults) {
    const ana = await logIn('Ana')
    const before = front.count('/token')
    front.fate = (path) => (path === '/token' ? fault() : 'pass')
    await pass(3 * intervalSeconds)
    assert.ok((await live()).includes(ana.session), JSON.stringify(fault()))
    assert.ok(front.count('/token') - before <= 4, 'no more than once an interval')
    front.fate = () => 'pass'
    const failed = front.asked.length
    await pass(intervalSeconds)
    assert.ok(front.asked.length > failed, 'asked again within an interval')
    provider.person('Ana').disabled = true
    await pass(intervalSeconds)
    assert.deepEqual(await live(), [], JSON.stringify(fault()))
    provider.person('Ana').disabled = false
  }
  assert.equal((await events('provider.refuses_us')).length, 1)
})

test('a provider that gives no answer for the whole grace period ends the sessions, and no key', async (t) => {
  const { infra, front, pass, logIn, live, events } = await scene(t)
  await logIn('Ana')
  await infra.client.keys.create({ name: 'ci', user: 'ana@example.com' })
  front.fate = (path) => (path === '/token' ? { status: 503 } : 'pass')
  await pass(graceSeconds - 1)
  assert.equal((await live()).length, 1)
  await pass(intervalSeconds + 2)
  assert.deepEqual(await live(), [])
  const [event] = await events('session.ended')
  assert.equal(event?.detail['reason'], 'the provider gave no answer for 1m: it answered 503')
  assert.deepEqual(await events('key.revoked'), [])
})

test('Retry-After is honoured for everybody, and then all are asked about within an interval', async (t) => {
  const { front, pass, logIn, live } = await scene(t)
  for (const name of ['Ana', 'Ben', 'Cleo']) await logIn(name)
  front.fate = (path) =>
    path === '/token' ? { status: 429, headers: { 'retry-after': '40' } } : 'pass'
  await pass(intervalSeconds)
  front.fate = () => 'pass'
  const asked = front.count('/token')
  assert.ok(asked - 3 <= 3, `${asked} after one 429`)
  await pass(40 - intervalSeconds)
  assert.equal(front.count('/token'), asked)
  await pass(2 * intervalSeconds + 1)
  assert.ok(front.count('/token') - asked >= 3)
  assert.equal((await live()).length, 3)
})

test('Dex’s 500 with an OAuth error is the person’s word, once it was said twice', async (t) => {
  const { front, pass, logIn, live, events } = await scene(t)
  const ana = await logIn('Ana')
  let left = 1
  const word = { status: 500, body: JSON.stringify({ error: 'invalid_request' }) }
  front.fate = (path) => (path === '/token' && left-- > 0 ? word : 'pass')
  await pass(intervalSeconds)
  assert.deepEqual(await live(), [ana.session], 'asked once more, and it stood')
  left = 2
  await pass(intervalSeconds)
  assert.deepEqual(await live(), [])
  const [event] = await events('session.ended')
  assert.equal(event?.detail['reason'], 'the provider says invalid_request')
})

test('a client secret that was rotated is said once, loudly, and again when it is right', async (t) => {
  const { infra, provider, pass, logIn, live, events } = await scene(t)
  await logIn('Ana')
  await logIn('Ben')
  await infra.client.providers.update({ provider: 'local', clientSecret: 'another one entirely' })
  await pass(2 * intervalSeconds)
  assert.equal((await live()).length, 2)
  const [refused, ...more] = await events('provider.refuses_us')
  assert.equal(more.length, 0)
  assert.match(String(refused?.detail['reason']), /invalid_client/)
  const clientSecret = provider.client.secret ?? ''
  await infra.client.providers.update({ provider: 'local', clientSecret })
  await pass(intervalSeconds + 1)
  assert.equal((await events('provider.accepts_us')).length, 1)
})

test('an answer that was lost on its way costs nobody the session, and no word is missed', async (t) => {
  const { infra, front, provider, pass, logIn, live } = await scene(t)
  const ana = await logIn('Ana')
  let left = 1
  front.fate = (path) => (path === '/token' && left-- > 0 ? 'lose' : 'pass')
  await pass(intervalSeconds)
  const [kept] = await infra.db.select().from(providerTokens)
  assert.ok(kept?.doubtSince)
  const userinfo = front.count('/me')
  await pass(3 * intervalSeconds)
  assert.deepEqual(await live(), [ana.session])
  assert.ok(front.count('/me') > userinfo, 'asked by the access token')
  provider.person('Ana').disabled = true
  await pass(intervalSeconds)
  assert.deepEqual(await live(), [])
})

test('a process that dies between the provider’s answer and the commit loses nobody’s session', async (t) => {
  const { infra, provider, pass, logIn, live, another } = await scene(t)
  const ana = await logIn('Ana')
  // The write of the new tokens never comes back, as in a process that is gone.
  const never = new Promise<never>(() => {})
  const dying = dyingDatabase(infra, never)
  const clock = () => infra.clock.now
  const wait = async () => {}
  const dead = new Revalidate({ ...infra, db: dying.db, clock, wait })
  infra.clock.now = new Date(infra.clock.now.getTime() + intervalSeconds * 1000)
  await dead.look()
  await dying.died
  const [question] = await infra.db.select().from(questions)
  assert.ok(question?.claimedBy, 'its claim is left behind')
  const next = another()
  await pass(20, [next])
  assert.deepEqual(await live(), [ana.session], 'while the claim lasts')
  await pass(4 * intervalSeconds, [next])
  assert.deepEqual(await live(), [ana.session])
  const [after] = await infra.db.select().from(questions)
  assert.equal(after?.claimedBy, null)
  assert.equal(after?.failingSince, null)
  provider.person('Ana').disabled = true
  await pass(intervalSeconds, [next])
  assert.deepEqual(await live(), [])
})

test('a provider that hangs holds up nobody of another, and its own people stand', async (t) => {
  const { infra, front, provider, logIn, live, loop } = await scene(t)
  const other = await startProvider({ clients: [clientFor('other')] })
  t.after(other.stop)
  await addProvider(infra, other, { name: 'other' })
  const ana = await logIn('Ana')
  const begun = await begin(infra, 'other')
  await finish(infra, begun, await other.login(begun.authorizationUrl, 'Ben'))
  assert.equal((await live()).length, 2)
  front.fate = (path) => (path === '/token' ? 'hang' : 'pass')
  other.person('Ben').disabled = true
  infra.clock.now = new Date(infra.clock.now.getTime() + intervalSeconds * 1000)
  await loop.look()
  await until('Ben is out', async () => (await live()).length === 1)
  assert.equal(front.givenUp, 0, 'while the other question still hangs')
  await loop.settled()
  await until('the question is given up', () => front.givenUp > 0)
  assert.deepEqual(await live(), [ana.session])
  assert.equal(provider.person('Ana').disabled, false)
})

test('several server processes do not ask twice', async (t) => {
  const { front, pass, logIn, live, another, loop } = await scene(t)
  for (const name of ['Ana', 'Ben', 'Cleo']) await logIn(name)
  const before = front.count('/token')
  await pass(3 * intervalSeconds, [loop, another(), another()])
  // Waiting for a place moves this clock on, so that one question of the next interval may be due.
  const asked = front.count('/token') - before
  assert.ok(
    asked === 9 || asked === 10,
    `asked ${asked} times about three people in three intervals`,
  )
  assert.equal((await live()).length, 3)
})

test('where there is no refresh token, userinfo is asked, until what was granted is over', async (t) => {
  const { infra, front, provider, pass, logIn, live, events } = await scene(t, {
    rules: { scopes: ['openid', 'email', 'profile', 'groups'] },
  })
  const ana = await logIn('Ana')
  const ben = await logIn('Ben')
  const [token] = await infra.db.select().from(providerTokens)
  assert.equal(token?.refreshToken, null)
  provider.person('Ana').groups = ['night']
  const before = front.count('/me')
  await pass(2 * intervalSeconds)
  assert.equal(front.count('/me') - before, 4)
  const me = await infra.clientOf(ana.credential).me.get()
  assert.deepEqual(me.user.groups, ['local/night'])
  provider.person('Ana').disabled = true
  await pass(intervalSeconds)
  assert.deepEqual(await live(), [ben.session])
  await infra.db.update(providerTokens).set({ accessUntil: infra.clock.now })
  await pass(intervalSeconds)
  assert.deepEqual(await live(), [])
  const reasons = (await events('session.ended')).map(({ detail }) => detail['reason'])
  assert.deepEqual(reasons, [
    'the provider says invalid_token',
    'what the provider granted is over',
  ])
})

test('L6: access keys do not outlive a person who comes by this provider alone', async (t) => {
  const { infra, provider, pass, logIn, events } = await scene(t, {
    rules: { trustedDomains: ['example.com'] },
  })
  await infra.client.users.create({ email: 'ben@example.com' })
  await logIn('Ana')
  await logIn('Ben')
  await infra.client.keys.create({ name: 'of-ana', user: 'ana@example.com' })
  await infra.client.keys.create({ name: 'of-ben', user: 'ben@example.com' })
  provider.person('Ana').disabled = true
  provider.person('Ben').disabled = true
  await pass(intervalSeconds)
  const left = await infra.db.select().from(accessKeys).where(isNull(accessKeys.endedAt))
  // Ben has a password too, and was here before the provider spoke of him.
  assert.deepEqual(
    left.map(({ name }) => name),
    ['of-ben'],
  )
  const [event] = await events('key.revoked')
  assert.equal(event?.detail['reason'], 'the provider says invalid_grant')
})

test('L10, S4: the provider’s tokens are sealed at rest, and said nowhere', async (t) => {
  const { infra, provider, pass, logIn } = await scene(t)
  await logIn('Ana')
  await pass(2 * intervalSeconds)
  const secrets = provider.secrets()
  assert.ok(secrets.length >= 6)
  const rows = JSON.stringify(await infra.db.select().from(providerTokens))
  const told = JSON.stringify(await infra.client.events.list()) + infra.said() + rows
  for (const secret of secrets) assert.ok(!told.includes(secret), 'a token is readable')
  const sessionsTold = JSON.stringify(await infra.client.sessions.list())
  assert.doesNotMatch(sessionsTold, /token/i)
  await infra.client.providers.update({ provider: 'local', disabled: true })
  await expire({ ...infra, clock: () => infra.clock.now, listeningSince: infra.clock.now })
  assert.deepEqual(
    await infra.db.select().from(providerTokens),
    [],
    'kept no longer than they serve',
  )
})

test('many are asked about evenly and never faster than the limit, and too low a limit is said with the figure', async (t) => {
  const people = Array.from({ length: 30 }, (_, n): Person => {
    const name = `P${n}`
    const email = `${name.toLowerCase()}@example.com`
    return { sub: `p-${n}`, name, email, emailVerified: true, groups: [], disabled: false }
  })
  const { infra, front, pass, logIn } = await scene(t, {
    people,
    // The ID token does not hold these groups, so that each question takes two requests.
    rules: { questionsPerMinute: 60, questionsAtOnce: 2, groupsClaim: 'roles' },
  })
  for (const { name } of people) await logIn(name)
  const requests = () => front.count('/token') + front.count('/me')
  const before = requests()
  const begunAt = infra.clock.now.getTime()
  await pass(2 * intervalSeconds)
  // Two who wait at once move this clock on twice, so what passed is at least what was needed.
  const spent = (infra.clock.now.getTime() - begunAt) / 1000
  const asked = requests() - before
  assert.ok(asked <= spent + 1, `asked ${asked} times in ${spent} seconds, at one a second`)
  assert.ok(asked >= intervalSeconds, `asked ${asked} times in ${spent} seconds`)
  const warning = /"message":"the limits of a provider[^\n]*"questionsPerMinute":(\d+)/.exec(
    infra.said(),
  )
  assert.ok(Number(warning?.[1]) >= 180, 'the figure that would do')
})

function dyingDatabase({ db }: LoginWorld, never: Promise<never>) {
  let die = () => {}
  const died = new Promise<void>((resolve) => (die = resolve))
  let writes = 0
  const update: typeof db.update = (table) => {
    // The first write to the tokens is the doubt, the second is the answer's.
    if (table === (providerTokens as unknown) && (writes += 1) === 2) {
      die()
      const stuck = { set: () => ({ where: () => never }) }
      return stuck as unknown as ReturnType<typeof db.update<typeof table>>
    }
    return db.update(table)
  }
  const dying = new Proxy(db, {
    get: (target, name) => {
      const value: unknown = name === 'update' ? update : Reflect.get(target, name)
      return typeof value === 'function' && name !== 'update' ? value.bind(target) : value
    },
  })
  return { db: dying, died }
}
