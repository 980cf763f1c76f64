/** PostgreSQL going away and coming back, each way that it does. */
import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { sql } from 'drizzle-orm'
import { type Postgres, startPostgres } from '../../test/postgres.ts'
import { until } from '../../test/processes.ts'
import { startProxy } from '../../test/proxy.ts'
import { Failure } from '../wire/failure.ts'
import type { Store } from './database.ts'
import { fromDatabase } from './errors.ts'
import { openPostgres } from './postgres.ts'

// Not in a hook: under Bun a hook that takes more than five seconds fails.
const server: Postgres = await startPostgres()
after(() => server.end())

const channel = 'test_channel'
type Heard = { store: Store; count: number }

async function listening(t: TestContext, url = server.url): Promise<Heard> {
  const store = await openPostgres(url)
  t.after(() => store.close())
  const heard = { store, count: 0 }
  await store.listen(channel, () => (heard.count += 1))
  return heard
}

const notify = ({ store }: Heard) => store.db.execute(sql`select pg_notify(${channel}, '')`)
const ask = (store: Store) => store.db.execute(sql`select 1`)
const failureOf = (asked: Promise<unknown>) => asked.then(() => null, fromDatabase)

async function isHeard(heard: Heard): Promise<void> {
  const before = heard.count
  await notify(heard)
  await until('a notice is heard', () => heard.count > before)
}

function assertUnavailable(failure: unknown): void {
  assert.ok(failure instanceof Failure, String(failure))
  assert.equal(failure.code, 'unavailable')
  assert.equal(failure.message, 'the database cannot be reached')
}

test('a URL that can not be read is said to be none, and nothing of it is repeated', async () => {
  for (const url of ['postgres://ana:se cret/@host/infra', 'postgres://ana:secret@[zz/infra']) {
    const refused = (error: unknown) =>
      error instanceof Failure &&
      error.code === 'invalid' &&
      error.cause === undefined &&
      error.message.startsWith('DATABASE_URL can not be read') &&
      !error.message.includes('cret')
    await assert.rejects(openPostgres(url), refused)
  }
})

test('a connection that listened and was ended is made again, and whoever listens looks again', async (t) => {
  const heard = await listening(t)
  await isHeard(heard)
  const before = heard.count
  await heard.store.db.execute(sql`select pg_terminate_backend(pid) from pg_stat_activity
    where query ilike 'listen%' and datname = current_database()`)
  await until('it is noticed', () => !heard.store.isListening())
  await until('it listens again', () => heard.store.isListening())
  assert.ok(heard.count > before, 'nobody was told to look again')
  await isHeard(heard)
})

test('killed in the middle of work: a clear failure meanwhile, and all is back by itself', async (t) => {
  const heard = await listening(t)
  const { store } = heard
  const working = failureOf(store.db.execute(sql`select pg_sleep(10)`))
  await until('it works', async () => {
    const running = await store.db
      .select({ n: sql<string>`count(*)` })
      .from(sql`pg_stat_activity where state = 'active' and query like 'select pg_sleep%'`)
    return Number(running[0]?.n) > 0
  })
  await server.kill()
  assertUnavailable(await working)
  // A process of PostgreSQL's answers until it has seen that the first of them is dead.
  assertUnavailable(await until('whoever asks is told', () => failureOf(ask(store))))
  await until('it is noticed', () => !store.isListening())
  await server.start()
  await until('queries are answered', () => ask(store).catch(() => null))
  await until('it listens again', () => store.isListening())
  await isHeard(heard)
})

test('a database that falls silent: whoever waits is told, nothing counts as heard, and all is back', async (t) => {
  const proxy = await startProxy(server.port)
  t.after(() => proxy.close())
  const heard = await listening(t, server.url.replace(`:${server.port}/`, `:${proxy.port}/`))
  const { store } = heard
  await ask(store)
  proxy.swallow()
  assertUnavailable(await failureOf(ask(store)))
  assert.equal(store.isListening(), false)
  proxy.pass()
  await until('queries are answered', () => ask(store).catch(() => null))
  await until('it listens again', () => store.isListening())
  await isHeard(heard)
})

test('O5: however much is asked at once, the connections are a constant number', async (t) => {
  const { store } = await listening(t)
  const asked = Array.from({ length: 200 }, () => store.db.execute(sql`select pg_sleep(0.01)`))
  await Promise.all(asked)
  const [found] = await store.db
    .select({ n: sql<string>`count(*)` })
    .from(sql`pg_stat_activity where application_name = 'infra'`)
  assert.ok(Number(found?.n) <= 11, `${found?.n} connections`)
})

test('a statement that takes too long, or waits for a lock too long, is given up', async (t) => {
  const { store } = await listening(t)
  const rows = await store.db
    .select({ name: sql<string>`name`, setting: sql<string>`setting` })
    .from(sql`pg_settings`)
    .where(
      sql`name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`,
    )
  assert.equal(rows.length, 3)
  for (const { name, setting } of rows) assert.ok(Number(setting) > 0, name)
  const hurried = store.db.transaction(async (tx) => {
    await tx.execute(sql`set local statement_timeout = 50`)
    await tx.execute(sql`select pg_sleep(10)`)
  })
  const failure = await failureOf(hurried)
  assert.ok(failure instanceof Failure && failure.code === 'unavailable', String(failure))
})

test('an address where no database is, is said at once', async () => {
  await server.stop()
  try {
    assertUnavailable(await failureOf(openPostgres(server.url)))
  } finally {
    await server.start()
  }
})
