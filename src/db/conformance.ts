/** What the code above leans on, asked of each database: PGlite always, PostgreSQL where there is one. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { eq, sql } from 'drizzle-orm'
import { eventsAfter, newest, record } from '../events.ts'
import { Failure } from '../wire/failure.ts'
import type { Database, Store } from './database.ts'
import { fromDatabase } from './errors.ts'
import { migrate } from './migrate.ts'
import { destinations, events, grants, users } from './schema.ts'

const now = new Date('2026-01-02T03:04:05.678Z')
const system = { kind: 'system' } as const

export function conformance(name: string, open: () => Promise<Store>): void {
  describe(name, () => {
    let store: Store
    let db: Database

    before(async () => {
      store = await open()
      db = store.db
      await migrate(db)
    })
    after(() => store.close())
    beforeEach(() => db.execute(sql`truncate users, destinations, grants, events cascade`))

    const addUser = (tx: Database, id: string) =>
      tx.insert(users).values({ id, email: `${id}@example.com`, createdAt: now })
    const happen = (tx: Database) =>
      record(tx, system, now, { kind: 'test', detail: {}, destinations: null })

    test('a transaction that throws leaves nothing', async () => {
      const failing = db.transaction(async (tx) => {
        await addUser(tx, 'ana')
        await happen(tx)
        throw new Error('no')
      })
      await assert.rejects(failing, /^Error: no$/)
      assert.deepEqual(await db.select().from(users), [])
      assert.equal(await newest(db), 0)
    })

    test('an instant comes back to the millisecond', async () => {
      await addUser(db, 'ana')
      const [ana] = await db.select().from(users)
      assert.deepEqual(ana?.createdAt, now)
    })

    test('what is already there is a conflict, said by its constraint', async () => {
      await addUser(db, 'ana')
      const again = db.insert(users).values({ id: 'b', email: 'ana@example.com', createdAt: now })
      const error = await again.then(() => null, fromDatabase)
      assert.ok(error instanceof Failure)
      assert.equal(error.code, 'conflict')
      assert.equal(error.message, 'there is already a user with this e-mail')
    })

    test('a refused query repeats none of its parameters', async () => {
      const secret = 'a-hash-that-must-not-be-logged'
      await addUser(db, 'ana')
      const again = db
        .insert(users)
        .values({ id: 'b', email: 'ana@example.com', passwordHash: secret, createdAt: now })
      const error = await again.then(() => null, fromDatabase)
      assert.ok(error instanceof Failure && error.cause instanceof Error)
      assert.doesNotMatch(`${error.message} ${error.cause.message}`, new RegExp(secret))
    })

    test('a grant needs exactly one subject', async () => {
      await addUser(db, 'ana')
      await db.insert(destinations).values({ id: 'd', name: 'prod', createdAt: now })
      const none = { id: 'g', destinationId: 'd', role: 'view', createdAt: now }
      await assert.rejects(db.insert(grants).values(none))
    })

    test('a user who is deleted takes their grants along', async () => {
      await addUser(db, 'ana')
      await db.insert(destinations).values({ id: 'd', name: 'prod', createdAt: now })
      const given = { id: 'g', userId: 'ana', destinationId: 'd', role: 'view', createdAt: now }
      await db.insert(grants).values(given)
      await db.delete(users).where(eq(users.id, 'ana'))
      assert.deepEqual(await db.select().from(grants), [])
    })

    test('a notice is heard after its commit, and not after a rollback', async () => {
      const channel = 'conformance'
      let heard = 0
      let tell = (): void => {}
      const stop = await store.listen(channel, () => {
        heard += 1
        tell()
      })
      heard = 0
      const told = new Promise<void>((resolve) => (tell = resolve))
      const notify = (tx: Database) => tx.execute(sql`select pg_notify(${channel}, '')`)
      const failing = db.transaction(async (tx) => {
        await notify(tx)
        throw new Error('no')
      })
      await assert.rejects(failing)
      // Notices come in the order of commits: with this one here, an earlier one would be, too.
      await db.transaction(notify)
      await told
      assert.equal(heard, 1)
      await stop()
    })

    test('a repeatable read sees one instant, whatever is committed meanwhile', async () => {
      const read = async (tx: Database) => {
        const first = await newest(tx)
        if (!isOneConnection(store)) await db.transaction(happen)
        return [first, await newest(tx)]
      }
      const options = { isolationLevel: 'repeatable read', accessMode: 'read only' } as const
      assert.deepEqual(await db.transaction(read, options), [0, 0])
    })

    test('a read-only transaction cannot write', async () => {
      const writing = db.transaction((tx) => addUser(tx, 'ana'), { accessMode: 'read only' })
      await assert.rejects(writing)
    })

    test('events commit in the order of their numbers, without gaps over rollbacks', async () => {
      const seen: number[] = []
      const writing = new AbortController()
      const readOn = async (): Promise<void> => {
        const found = await eventsAfter(db, seen.at(-1) ?? 0, 1000)
        seen.push(...found.map((event) => event.number))
      }
      const reader = (async () => {
        while (!writing.signal.aborted) await readOn()
      })()
      const writes = Array.from({ length: 40 }, (_, at) =>
        db
          .transaction(async (tx) => {
            await addUser(tx, `u${at}`)
            await happen(tx)
            if (at % 4 === 0) throw new Error('no')
          })
          .catch(() => null),
      )
      await Promise.all(writes)
      writing.abort()
      await reader
      await readOn()
      assert.deepEqual(
        seen,
        Array.from({ length: 30 }, (_, at) => at + 1),
      )
    })

    test('migrating again changes nothing', async () => {
      await addUser(db, 'ana')
      await Promise.all([migrate(db), migrate(db)])
      assert.equal((await db.select().from(users)).length, 1)
    })

    test('events cannot be given a number that is taken', async () => {
      await db.transaction(happen)
      const [event] = await db.select().from(events)
      assert.ok(event)
      await assert.rejects(db.insert(events).values({ ...event, kind: 'another' }))
    })
  })
}

/** PGlite has one connection: nothing can be committed beside an open transaction. */
function isOneConnection({ db }: Store): boolean {
  return db.constructor.name === 'PgliteDatabase'
}
