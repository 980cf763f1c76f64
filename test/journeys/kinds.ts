/** Every kind of removal, and somebody who is about to feel it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Receipt } from '../../src/wire/destinations.ts'
import { type ClientOfProvider, clientFor, type LocalProvider, startProvider } from '../provider.ts'
import { until } from '../processes.ts'
import { Person } from './person.ts'
import type { World } from './world.ts'

export type Event = { number: number; kind: string; destinations: string[] | null }
export type Removed = { code: number | null; receipts: Receipt[] }

/** One kind of removal, and somebody who is about to feel it at `destination`. */
export type Kind = {
  what: string
  /** The event that says so. */
  event: string
  destination: string
  person: Person
  /** What the same person has open at `stage`: cut as well, or not concerned. */
  elsewhere: 'stands' | 'falls'
  remove: () => Promise<Removed | null>
}

const edit = { role: 'edit', namespace: null }

/** A request of the administrator's that must not fail. */
export async function ask<T>(
  world: World,
  method: string,
  path: string,
  body?: object,
): Promise<T> {
  const response = await world.api(method, path, body)
  const text = await response.text()
  assert.ok(response.ok, `${method} ${path}: ${text}`)
  return JSON.parse(text) as T
}

/** Removes by a command that waits for its receipt. */
async function removing(world: World, args: string[]): Promise<Removed> {
  const exit = await world.admin.infra([...args, '--format', 'json'])
  assert.notEqual(exit.stdout, '', `infra ${args.join(' ')}: ${exit.stderr}`)
  const { receipt, receipts }: { receipt?: Receipt; receipts?: Receipt[] } = JSON.parse(exit.stdout)
  return { code: exit.code, receipts: receipts ?? (receipt ? [receipt] : []) }
}

/** The receipts of what no command waited for: of the newest event of this kind. */
export async function receiptsOf(world: World, event: string): Promise<Removed> {
  const found = await until(`an event ${event}`, async () => {
    const events = await ask<Event[]>(world, 'GET', '/api/events?limit=1000')
    return events.findLast(({ kind }) => kind === event)
  })
  const receipts = await Promise.all(
    (found.destinations ?? []).map((id) => {
      const query = `revision=${found.number}&waitSeconds=30`
      return ask<Receipt>(world, 'GET', `/api/destinations/${id}/receipt?${query}`)
    }),
  )
  return { code: receipts.every(({ enforced }) => enforced) ? 0 : 1, receipts }
}

export async function grant(world: World, user: string, destination: string, more: object = {}) {
  const words = { user, destination, ...edit, ...more }
  return ask<{ id: string; revision: number }>(world, 'POST', '/api/grants', words)
}

/** Somebody with a one-time password and nothing granted, made without a process for it. */
async function known(world: World, name: string): Promise<Person> {
  const email = `${name}@example.com`
  const { password } = await ask<{ password: string }>(world, 'POST', '/api/users', { email })
  return new Person(world, email, {
    INFRA_SERVER: world.url,
    INFRA_SERVER_CA_FILE: world.caFile,
    INFRA_USER: email,
    INFRA_PASSWORD: password,
    INFRA_NEW_PASSWORD: `new ${password}`,
  })
}

/** Somebody with a password and `edit` at both places, logged in. */
export async function somebody(world: World, name: string, destination: string): Promise<Person> {
  const person = await known(world, name)
  for (const place of [destination, 'stage']) await grant(world, person.email, place)
  await person.ok(['login'])
  return person
}

/** Somebody whose access at prod comes by a group of this name. */
async function member(world: World, name: string): Promise<Person> {
  const person = await known(world, name)
  await ask(world, 'POST', '/api/groups', { name })
  await ask(world, 'PUT', `/api/groups/${name}/users/${person.email}`, {})
  await ask(world, 'POST', '/api/grants', { group: name, destination: 'prod', ...edit })
  await grant(world, person.email, 'stage')
  await person.ok(['login'])
  return person
}

/** Somebody who came in by a provider, and has access by a group that is followed from it. */
async function visitor(
  world: World,
  provider: LocalProvider,
  client: ClientOfProvider,
  { name, as }: { name: string; as: string },
): Promise<Person> {
  const secretFile = join(world.dir, `secret-${name}`)
  writeFileSync(secretFile, client.secret ?? '', { mode: 0o600 })
  await world.admin.ok([
    ...['providers', 'add', name, '--issuer', provider.issuer],
    ...['--client-id', client.id, '--client-secret-file', secretFile],
  ])
  for (const destination of ['prod', 'stage']) {
    await ask(world, 'POST', '/api/grants', { group: `${name}/dev`, destination, ...edit })
  }
  const person = world.stranger(`${as.toLowerCase()}@example.com`)
  const login = person.openInfra(['login', '--provider', name, '--no-browser'])
  const [url] = await login.says(/https?:\/\/\S+[?&]code_challenge=\S+/, 'stderr')
  await (await fetch(await provider.login(url, as))).text()
  assert.equal((await login.ends()).code, 0, login.stderr)
  return person
}

/** Somebody who uses an access key, as automation does. */
export async function robot(world: World, name: string, expiresAt: string | null): Promise<Person> {
  const { email } = await known(world, name)
  for (const place of ['prod', 'stage']) await grant(world, email, place)
  const key = await ask<{ accessKey: string }>(world, 'POST', '/api/keys', {
    ...{ name, user: email, expiresAt },
  })
  const person = new Person(world, `${name}-at-work`, {
    INFRA_SERVER: world.url,
    INFRA_SERVER_CA_FILE: world.caFile,
    INFRA_ACCESS_KEY: key.accessKey,
  })
  await person.ok(['list'])
  return person
}

export async function everyKind(t: TestContext, world: World): Promise<Kind[]> {
  return [
    ...(await kindsOfGrants(world)),
    ...(await kindsOfPeople(world)),
    ...(await kindsOfOthers(t, world)),
  ]
}

type Given = Pick<Kind, 'person' | 'remove'> & { destination?: string }

/** Puts kinds together, and waits for receipts by the command line. */
function kindsIn(world: World) {
  const kinds: Kind[] = []
  const add = (what: string, event: string, elsewhere: Kind['elsewhere'], given: Given) =>
    kinds.push({ what, event, elsewhere, destination: 'prod', ...given })
  const wait = (...args: string[]) => removing(world, [...args, '--wait'])
  return { kinds, add, wait }
}

async function kindsOfGrants(world: World): Promise<Kind[]> {
  const { kinds, add, wait } = kindsIn(world)
  const revoked = await somebody(world, 'revoked', 'prod')
  add('a grant removed', 'grant.revoked', 'stands', {
    person: revoked,
    remove: () => wait('grants', 'remove', revoked.email, 'prod', '--role', 'edit'),
  })
  const expiring = await somebody(world, 'expiring', 'prod')
  add('a grant expired', 'grant.expired', 'stands', {
    person: expiring,
    // What is open stands by the one that expires from then on: both give the same.
    remove: async () => {
      const grants = await ask<
        { id: string; subject: { name: string }; destination: { name: string } }[]
      >(world, 'GET', '/api/grants')
      const old = grants.find(({ subject, destination }) => {
        return subject.name === expiring.email && destination.name === 'prod'
      })
      const expiresAt = new Date(Date.now() + 5_000).toISOString()
      await grant(world, expiring.email, 'prod', { expiresAt })
      await ask(world, 'DELETE', `/api/grants/${old?.id}`)
      return receiptsOf(world, 'grant.expired')
    },
  })
  const narrowed = await somebody(world, 'narrowed', 'prod')
  add('a role narrowed', 'grant.revoked', 'stands', {
    person: narrowed,
    remove: async () => {
      await wait('grants', 'add', narrowed.email, 'prod', '--role', 'view')
      return wait('grants', 'remove', narrowed.email, 'prod', '--role', 'edit')
    },
  })
  const leaver = await member(world, 'leavers')
  add('a group left', 'group.member_removed', 'stands', {
    person: leaver,
    remove: () => wait('groups', 'remove-user', 'leavers', leaver.email),
  })
  add('a group removed', 'group.deleted', 'stands', {
    person: await member(world, 'closed'),
    remove: () => wait('groups', 'remove', 'closed'),
  })
  return kinds
}

async function kindsOfPeople(world: World): Promise<Kind[]> {
  const { kinds, add, wait } = kindsIn(world)
  const disabled = await somebody(world, 'disabled', 'prod')
  add('a user disabled', 'user.disabled', 'falls', {
    person: disabled,
    remove: () => wait('users', 'disable', disabled.email),
  })
  const removed = await somebody(world, 'removed', 'prod')
  add('a user removed', 'user.deleted', 'falls', {
    person: removed,
    remove: () => wait('users', 'remove', removed.email),
  })
  const leaving = await somebody(world, 'leaving', 'prod')
  add('a session ended by its user', 'session.ended', 'falls', {
    person: leaving,
    remove: async () => {
      await leaving.ok(['logout'])
      return receiptsOf(world, 'session.ended')
    },
  })
  const thrown = await somebody(world, 'thrown', 'prod')
  add('a session ended by an administrator', 'session.ended', 'falls', {
    person: thrown,
    remove: async () => {
      const sessions = await ask<{ id: string; user: string }[]>(world, 'GET', '/api/sessions')
      const session = sessions.find(({ user }) => user === thrown.email)
      return wait('sessions', 'end', session?.id ?? '')
    },
  })
  return kinds
}

async function kindsOfOthers(t: TestContext, world: World): Promise<Kind[]> {
  const clients = [clientFor('acme'), { ...clientFor('beta'), id: 'infra-beta' }] as const
  const provider = await startProvider({ clients: [...clients] })
  t.after(() => provider.stop())
  const { kinds, add, wait } = kindsIn(world)
  add('an access key removed', 'key.revoked', 'falls', {
    person: await robot(world, 'keyed', null),
    remove: () => wait('keys', 'remove', 'keyed'),
  })
  add('a provider disabled', 'provider.disabled', 'falls', {
    person: await visitor(world, provider, clients[0], { name: 'acme', as: 'Ana' }),
    remove: () => wait('providers', 'disable', 'acme'),
  })
  add('a provider removed', 'provider.deleted', 'falls', {
    person: await visitor(world, provider, clients[1], { name: 'beta', as: 'Ben' }),
    remove: () => wait('providers', 'remove', 'beta'),
  })
  add('a destination removed', 'destination.deleted', 'stands', {
    ...{ person: await somebody(world, 'homeless', 'doomed'), destination: 'doomed' },
    remove: async () => {
      await world.admin.ok(['destinations', 'remove', 'doomed'])
      return null
    },
  })
  add("a connector's key removed", 'key.revoked', 'stands', {
    ...{ person: await somebody(world, 'locked', 'locked'), destination: 'locked' },
    remove: async () => {
      const keys = await ask<{ id: string; destination: string }[]>(world, 'GET', '/api/keys')
      const key = keys.find(({ destination }) => destination === 'locked')
      return removing(world, ['keys', 'remove', key?.id ?? '', '--wait=1s'])
    },
  })
  return kinds
}
