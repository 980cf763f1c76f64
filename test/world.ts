/**
 * The whole server in one process, for tests of its API: the real app on a real database in memory.
 * Opening PGlite takes a second, so a process opens one and each world begins by emptying it; with
 * `INFRA_TEST_DATABASE_URL`, a new database of that PostgreSQL instead.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { sql } from 'drizzle-orm'
import { type App, createApp } from '../src/app.ts'
import { type Authority, openAuthority } from '../src/authority.ts'
import { formatCredential, hashSecret, newCredential, newId } from '../src/credential.ts'
import type { Store } from '../src/db/database.ts'
import { migrate } from '../src/db/migrate.ts'
import { openPglite } from '../src/db/pglite.ts'
import { openPostgres } from '../src/db/postgres.ts'
import { events, sessions, users } from '../src/db/schema.ts'
import { Follow } from '../src/follow.ts'
import { Hub } from '../src/hub/hub.ts'
import { ensureInstallation } from '../src/installation.ts'
import { Sealer } from '../src/seal.ts'
import { Metrics, RequestCounts } from '../src/metrics.ts'
import { readSettings, type Settings } from '../src/settings.ts'
import { ensureSigningKey } from '../src/signing.ts'
import { Client, type Fetch } from '../src/wire/client.ts'
import { freshDatabase } from './postgres.ts'
import { recorded, recordedClient } from './secrets/fetch.ts'
import { secret, written } from './secrets/record.ts'

export type Person = {
  id: string
  email: string
  session: string
  /** `id.secret` of the session. */
  credential: string
  client: Client
}

export type World = {
  app: App
  store: Store
  db: Store['db']
  settings: Settings
  sealer: Sealer
  authority: Authority
  hub: Hub
  follow: Follow
  requests: RequestCounts
  metrics: Metrics
  /** What the server holds to be now; tests set it. */
  clock: { now: Date }
  fetch: Fetch
  /** The first administrator. */
  admin: Person
  /** The first administrator's client. */
  client: Client
  stranger: Client
  clientOf(credential: string): Client
  /** Makes a user with a session, directly in the tables. */
  user(email: string, options?: { admin?: boolean }): Promise<Person>
}

type Options = { settings?: Partial<Settings>; providerFetch?: Fetch }

/** What tests send in place of a socket's other end. */
export const peerAddress = '192.0.2.1'

type Shared = { store: Store; authority: Authority; dataDir: string; drop: () => Promise<void> }
let shared: Promise<Shared> | null = null

export async function world(t: TestContext, options: Options = {}): Promise<World> {
  const { store, authority, dataDir } = await (shared ??= openShared())
  const { db } = store
  await empty(db)
  const clock = { now: new Date() }
  const now = (): Date => clock.now
  const settings = { ...readSettings([], { INFRA_DATA_DIR: dataDir }), ...options.settings }
  const sealingKey = randomBytes(32)
  const sealer = new Sealer(sealingKey)
  secret('sealing key', sealingKey.toString('base64'))
  await ensureInstallation(db, sealer)
  await ensureSigningKey(db, sealer, clock.now)
  const providerFetch = options.providerFetch ?? refuse
  const hub = new Hub(store, settings, now)
  const follow = new Follow(store)
  const requests = new RequestCounts()
  const metrics = new Metrics({ store, hub, requests, clock: now })
  const app = createApp({
    ...{ db, settings, sealer, authority, hub, follow, requests, providerFetch, clock: now },
  })
  await hub.open()
  await follow.open()
  t.after(async () => {
    await recordEvents(db)
    written('metrics', 'server', await metrics.text())
    await follow.close()
    await hub.close()
  })

  const fetch = recorded('server', (request) =>
    app.fetch(request, { address: peerAddress, upgrade: null }),
  )
  const clientFetch = recordedClient(fetch)
  const clientOf = (credential: string): Client =>
    new Client('http://server', credential, clientFetch)
  const user: World['user'] = async (email, { admin = false } = {}) => {
    const id = newId()
    await db.insert(users).values({ id, email, isAdmin: admin, createdAt: clock.now })
    const made = newCredential()
    const times = { createdAt: clock.now, lastUsedAt: clock.now }
    const expiresAt = new Date(clock.now.getTime() + settings.sessionSeconds * 1000)
    const secretHash = hashSecret(made.secret)
    await db.insert(sessions).values({ id: made.id, secretHash, userId: id, ...times, expiresAt })
    const credential = formatCredential(made)
    secret('session', credential)
    return { id, email, session: made.id, credential, client: clientOf(credential) }
  }
  const admin = await user('root@example.com', { admin: true })
  const stranger = new Client('http://server', null, clientFetch)
  return {
    ...{
      app,
      store,
      db,
      settings,
      sealer,
      authority,
      hub,
      follow,
      requests,
      metrics,
      clock,
      fetch,
    },
    ...{ admin, client: admin.client, stranger, clientOf, user },
  }
}

async function openShared(): Promise<Shared> {
  const dataDir = mkdtempSync(join(tmpdir(), 'infra-world-'))
  const { store, drop } = await openTestStore()
  await migrate(store.db)
  const authority = await openAuthority(dataDir, () => new Date())
  process.once('exit', () => rmSync(dataDir, { recursive: true, force: true }))
  return { store, authority, dataDir, drop }
}

/** A test may have closed the database, to see what happens then. */
async function recordEvents(db: Store['db']): Promise<void> {
  const found = await db
    .select()
    .from(events)
    .catch(() => [])
  for (const event of found) written('event', event.kind, JSON.stringify(event))
}

/** An empty database of the kind that this run is about. */
export async function openTestStore(): Promise<{ store: Store; drop: () => Promise<void> }> {
  const url = process.env['INFRA_TEST_DATABASE_URL']
  if (!url) return { store: await openPglite(null), drop: async () => {} }
  const fresh = await freshDatabase(url)
  return { store: await openPostgres(fresh.url), drop: fresh.drop }
}

/** Again after a deadlock: the last of what the world before had under way may hold a row. */
async function empty(db: Store['db'], triesLeft = 5): Promise<void> {
  try {
    await truncate(db)
  } catch (thrown) {
    const isDeadlock = JSON.stringify(thrown, ['cause', 'code']).includes('40P01')
    if (!isDeadlock || triesLeft === 0) throw thrown
    await empty(db, triesLeft - 1)
  }
}

async function truncate(db: Store['db']): Promise<void> {
  await db.execute(sql`truncate installation, users, providers, groups, memberships, identities,
    logins, destinations, grants, access_keys, sessions, signing_keys, guesses, events, questions,
    provider_paces, provider_tokens cascade`)
}

/** No test of the API leaves this process by accident. */
const refuse: Fetch = () => {
  throw new Error('this world has no network')
}

/** An open database would keep the process from ending. Bun runs several files in one process. */
after(async () => {
  const opened = shared
  shared = null
  const { store, drop } = (await opened) ?? {}
  await store?.close()
  await drop?.()
})
