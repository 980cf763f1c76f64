/**
 * Every row of the table by every kind of caller. What each must get follows from the row's `who
 * may` alone; who is refused learns one sentence, and nothing is stored of it.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { and, eq } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { ask, bearer, certificateRequest, type Sample, samplesOf, stored } from './app.fixtures.ts'
import { createHealth } from './app.ts'
import type { Row, Who } from './call.ts'
import { accessKeys, users } from './db/schema.ts'
import { hashPassword } from './passwords.ts'
import { routes } from './routes.ts'
import type { SocketEnd } from './sockets.ts'

/** What a credential proves, whatever it is: a live one of this kind, nobody, or nothing at all. */
type Kind = 'stranger' | 'dead' | 'user' | 'admin' | 'connector'
type Caller = { name: string; kind: Kind; header(): Promise<Record<string, string>> }

const letIn: Record<Who, Kind[]> = {
  anyone: ['stranger', 'dead', 'user', 'admin', 'connector'],
  user: ['user', 'admin'],
  admin: ['admin'],
  connector: ['connector'],
}

function expected(who: Who, kind: Kind): 'in' | 401 | 403 {
  if (letIn[who].includes(kind)) return 'in'
  return kind === 'stranger' || kind === 'dead' ? 401 : 403
}

const password = 'correct horse'

async function stage(t: TestContext) {
  const w = await world(t)
  const passwordHash = await hashPassword(password)
  await w.db.update(users).set({ passwordHash }).where(eq(users.id, w.admin.id))
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.grants.create({ user: w.admin.email, destination: 'prod', role: 'view' })
  const csr = await certificateRequest('infra.example.com')
  const samples = samplesOf(w, { prod, password, csr })
  return { w, prod, csr, samples, callers: await callersOf(w, prod.accessKey, passwordHash) }
}

async function callersOf(w: World, key: string, passwordHash: string): Promise<Caller[]> {
  let made = 0
  const name = (word: string) => `${word}${++made}`
  const person = async (isAdmin: boolean) => {
    const one = await w.user(`${name('caller')}@example.com`, { admin: isAdmin })
    await w.db.update(users).set({ passwordHash }).where(eq(users.id, one.id))
    await w.client.grants.create({ user: one.email, destination: 'prod', role: 'view' })
    return one
  }
  const by = (of: string, kind: Kind, credential: () => Promise<string>): Caller => ({
    ...{ name: of, kind, header: async () => bearer(await credential()) },
  })
  const keyOf = async (isAdmin: boolean) => {
    const { client } = await person(isAdmin)
    return (await client.keys.create({ name: name('own key ') })).accessKey
  }
  const lost = async (lose: (one: Awaited<ReturnType<typeof person>>) => Promise<unknown>) => {
    const one = await person(true)
    await lose(one)
    return one.credential
  }
  const destination = () => w.client.destinations.create({ name: name('cluster') })
  const connectorKey = () => w.client.keys.create({ name: name('key '), destination: 'prod' })
  // Dead as a whole, so these need not be made anew.
  const disabled = await lost((one) => w.client.users.update({ user: one.id, disabled: true }))
  const inTable = await lost((one) =>
    // As if its sessions had been forgotten: the table says that the user is disabled.
    w.db.update(users).set({ disabledAt: w.clock.now }).where(eq(users.id, one.id)),
  )
  const loggedOut = await lost((one) => one.client.me.logout())
  const gone = await lost((one) => w.client.users.delete(one.id))
  const removed = await destination()
  await w.client.destinations.delete(removed.name)
  const revoked = await connectorKey()
  await w.client.keys.revoke(revoked.id)
  const expired = await connectorKey()
  const past = new Date(w.clock.now.getTime() - 1)
  await w.db
    .update(accessKeys)
    .set({ expiresAt: past })
    .where(and(eq(accessKeys.id, expired.id)))
  const { token } = await w.client.me.createToken({ destination: 'prod' })
  const once = (credential: string) => async () => credential
  const odd = (of: string, header: Record<string, string>): Caller => ({
    ...{ name: of, kind: 'dead', header: async () => header },
  })
  const { credential } = w.admin
  return [
    { name: 'a stranger', kind: 'stranger', header: async () => ({}) },
    {
      name: "a stranger with an administrator's credential anywhere but in Authorization",
      kind: 'stranger',
      header: async () => ({
        cookie: `session=${credential}; authorization=Bearer%20${credential}; infra=${credential}`,
        'proxy-authorization': `Bearer ${credential}`,
        'x-api-key': credential,
        'x-access-token': credential,
        'x-forwarded-user': 'root@example.com',
        'x-remote-user': 'root@example.com',
        'impersonate-user': 'root@example.com',
        'sec-websocket-protocol': `base64url.bearer.authorization.k8s.io.${credential}`,
      }),
    },
    by('a disabled user', 'dead', once(disabled)),
    by('a disabled user whose session still stands', 'dead', once(inTable)),
    by('who logged out', 'dead', once(loggedOut)),
    by('a removed user', 'dead', once(gone)),
    by("a removed destination's connector", 'dead', once(removed.accessKey)),
    by("a connector's revoked key", 'dead', once(revoked.accessKey)),
    by("a connector's expired key", 'dead', once(expired.accessKey)),
    by('a token for a destination', 'dead', once(token)),
    odd('Basic', { authorization: `Basic ${Buffer.from(credential).toString('base64')}` }),
    odd('another scheme', { authorization: `Token ${credential}` }),
    odd('no scheme', { authorization: credential }),
    odd('two credentials', { authorization: `Bearer ${credential}, Bearer ${credential}` }),
    odd('an empty header', { authorization: '' }),
    odd('an empty credential', { authorization: 'Bearer ' }),
    by('a user', 'user', async () => (await person(false)).credential),
    by("a user's access key", 'user', () => keyOf(false)),
    by('an administrator', 'admin', async () => (await person(true)).credential),
    by("an administrator's access key", 'admin', () => keyOf(true)),
    by("a connector's key", 'connector', once(key)),
    by("another connector's key", 'connector', async () => (await destination()).accessKey),
  ]
}

/** Refusals that are not the table's, each with its reason. */
const finer: Record<string, Partial<Record<string, number>>> = {
  // An access key has no session.
  'POST /api/logout': { "a user's access key": 400, "an administrator's access key": 400 },
  // The sample is somebody else's: it is not to be seen by a user.
  'DELETE /api/sessions/:id': { 'a user': 404, "a user's access key": 404 },
  'DELETE /api/keys/:key': { 'a user': 404, "a user's access key": 404 },
}

/** They end credentials of whoever calls them. */
const spending = ['POST /api/logout', 'POST /api/me/password']

const nameOf = ({ method, path }: Row) => `${method} ${path}`

test('L11, L12: every row lets in whom it says, refuses everybody else, and stores nothing of it', async (t) => {
  const { w, samples, callers: all } = await stage(t)
  let callers = await Promise.all(all.map(held))
  assert.deepEqual(Object.keys(samples).toSorted(), routes.map(nameOf).toSorted())
  let asked = 0
  for (const row of routes) {
    const name = nameOf(row)
    const make = samples[name]
    assert.ok(make, name)
    await refuses(w, row, await make(), callers)
    for (const caller of callers.filter(({ kind }) => expected(row.who, kind) === 'in')) {
      const header = await caller.header()
      const sample: Sample = await make()
      const answer = await ask(w, row, sample, header)
      // A row for anyone looks at no credential: everybody gets what a stranger gets.
      const usual: number = row.who === 'anyone' ? (await ask(w, row, sample)).status : 200
      const wanted = finer[name]?.[caller.name] ?? usual
      assert.equal(answer.status, wanted, `${name} by ${caller.name}: ${answer.text}`)
    }
    asked += callers.length
    if (spending.includes(name)) callers = await Promise.all(all.map(held))
  }
  assert.equal(asked, routes.length * callers.length)
})

/** The same caller with one credential for several rows. */
async function held(caller: Caller): Promise<Caller> {
  const header = await caller.header()
  return { ...caller, header: async () => header }
}

async function refuses(w: World, row: Row, sample: Sample, callers: Caller[]): Promise<void> {
  const headers = await Promise.all(
    callers
      .filter(({ kind }) => expected(row.who, kind) !== 'in')
      .map(async (caller) => ({ caller, header: await caller.header() })),
  )
  const before = await stored(w)
  for (const { caller, header } of headers) {
    const answer = await ask(w, row, sample, header)
    const where = `${nameOf(row)} by ${caller.name}`
    assert.equal(answer.status, expected(row.who, caller.kind), where)
    assert.equal(answer.code, answer.status === 401 ? 'unauthenticated' : 'forbidden', where)
    const challenge = answer.status === 401 ? 'Bearer' : null
    assert.equal(answer.headers.get('www-authenticate'), challenge, where)
  }
  assert.deepEqual(await stored(w), before, nameOf(row))
}

test('L11: what stands beside the table is as strict: events, the link, and what is public', async (t) => {
  const { w, callers } = await stage(t)
  const beside: { path: string; who: Who }[] = [
    { path: '/api/events', who: 'admin' },
    { path: '/api/link', who: 'connector' },
    { path: '/healthz', who: 'anyone' },
    { path: '/readyz', who: 'anyone' },
    { path: '/.well-known/jwks.json', who: 'anyone' },
    { path: '/api/openapi.json', who: 'anyone' },
  ]
  for (const { path, who } of beside) {
    for (const caller of callers) {
      const header = await caller.header()
      const { opened, status } = await upgrade(w, path, header)
      const wanted = expected(who, caller.kind)
      const where = `${path} by ${caller.name}`
      assert.equal(status, wanted === 'in' ? 200 : wanted, where)
      assert.equal(opened, wanted === 'in' && who !== 'anyone', where)
    }
  }
})

/** Asks for a WebSocket as a runtime would, and tells whether one was begun. */
async function upgrade(w: World, path: string, headers: Record<string, string>) {
  const ends: SocketEnd[] = []
  const request = new Request(`http://server${path}`, {
    headers: { ...headers, upgrade: 'websocket' },
  })
  const response = await w.app.fetch(request, {
    address: '192.0.2.1',
    upgrade: (begin) => {
      ends.push(begin({ send: () => {}, close: () => {}, backlog: () => 0 }))
      return new Response(null)
    },
  })
  for (const end of ends) end.closed(1000)
  return { opened: ends.length > 0, status: response.status }
}

test('metrics are told on their own listener only, and that listener tells nothing else', async (t) => {
  const { w } = await stage(t)
  const health = createHealth(w.db, () => Promise.resolve('infra_links 0\n'))
  const get = async (app: { fetch: World['fetch'] }, path: string) =>
    (await app.fetch(new Request(`http://server${path}`, { headers: bearer(w.admin.credential) })))
      .status
  const main = { fetch: w.fetch }
  const own = { fetch: (request: Request) => health.fetch(request) }
  assert.equal(await get(main, '/metrics'), 404)
  for (const path of ['/metrics', '/healthz', '/readyz']) assert.equal(await get(own, path), 200)
  for (const path of ['/api/users', '/api/login', '/api/link', '/.well-known/jwks.json']) {
    assert.equal(await get(own, path), 404, path)
  }
})

test('L11: a connector is told, certified and believed for its own destination, whatever it asks', async (t) => {
  const { w, prod } = await stage(t)
  const other = await w.client.destinations.create({ name: 'other' })
  const mine = w.clientOf(other.accessKey).connector
  const asked = { destination: prod.id, destinationId: prod.id, instance: 'one', version: '1' }
  const answer = await mine.access(asked)
  assert.equal(answer.kind === 'access' && answer.access.destination.id, other.id)
  const { certificate } = await mine.certificate(
    await certificateRequest(`${prod.id}.destination.infra`),
  )
  const { X509Certificate } = await import('node:crypto')
  assert.equal(new X509Certificate(certificate).subjectAltName, `DNS:${other.id}.destination.infra`)

  const told = await w.clientOf(prod.accessKey).connector.access({ instance: 'one', version: '1' })
  assert.ok(told.kind === 'access')
  const { epoch, revision } = told.access
  // Of the same name at another destination: it acknowledges for itself alone.
  await mine.enforced({ instance: 'one', epoch, revision, severed: 0 })
  const receipt = () => w.client.destinations.receipt({ destination: 'prod', revision })
  assert.equal((await receipt()).enforced, false)
  const own = w.clientOf(prod.accessKey).connector
  await own.enforced({ instance: 'one', epoch, revision, severed: 0 })
  assert.equal((await receipt()).enforced, true)
})
