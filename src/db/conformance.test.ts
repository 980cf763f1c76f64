import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'drizzle-orm'
import { conformance } from './conformance.ts'
import { openPglite } from './pglite.ts'
import { openPostgres } from './postgres.ts'

conformance('PGlite', () => openPglite(null))

const url = process.env['INFRA_TEST_DATABASE_URL']
if (url) {
  conformance('PostgreSQL', () => openPostgres(url))

  test('whoever listens is told when a lost connection to PostgreSQL is back', async () => {
    const store = await openPostgres(url)
    let tell = (): void => {}
    const stop = await store.listen('lost', () => tell())
    const back = new Promise<void>((resolve) => (tell = resolve))
    await store.db.execute(sql`select pg_terminate_backend(pid) from pg_stat_activity
      where query ilike 'listen%' and datname = current_database()`)
    await back
    assert.ok(stop)
    await store.close()
  })
}
