import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { sql } from 'drizzle-orm'
import { openTestStore, world } from '../test/world.ts'
import { readEpoch } from './access.ts'
import { backup, restore } from './backup.ts'
import type { Database, Store } from './db/database.ts'
import { migrate } from './db/migrate.ts'
import { openPglite } from './db/pglite.ts'
import { groups, installation, users } from './db/schema.ts'
import { channel, eventsAfter, newest } from './events.ts'
import { Sealer } from './seal.ts'

const now = new Date('2026-03-04T05:06:07.089Z')
const isPostgres = Boolean(process.env['INFRA_TEST_DATABASE_URL'])

/** A database that people have worked with, and its copy in a file. */
async function copied(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'infra-backup-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const odd = { id: 'odd', name: 'dév "ops"\\ \n {x}, \u2028', createdAt: now }
  await w.db.insert(groups).values(odd)
  await w.client.destinations.create({ name: 'prod' })
  const given = { user: ana.email, destination: 'prod', role: 'view' }
  await w.client.grants.create(given)
  // More rows than are read or written at once.
  const many = Array.from({ length: 1203 }, (_, n) => ({
    id: `many${n}`,
    email: `many${n}@example.com`,
    createdAt: new Date(now.getTime() + n),
  }))
  await w.db.insert(users).values(many)
  const file = join(dir, 'backup.gz')
  const head = await backup(w.db, file, now)
  return { w, ana, dir, file, head }
}

/** A database that nobody has used. */
async function unused(t: TestContext, open = openTestStore): Promise<Store> {
  const { store, drop } = await open()
  t.after(async () => {
    await store.close()
    await drop()
  })
  return store
}

const embedded = async () => ({ store: await openPglite(null), drop: async () => {} })

const tables = ['users', 'groups', 'destinations', 'grants', 'access_keys', 'sessions']
async function contentOf(db: Database): Promise<string[]> {
  const all: string[] = []
  for (const table of [...tables, 'signing_keys', 'events']) {
    const name = sql.identifier(table)
    const rows = await db.select({ row: sql<string>`to_jsonb(t)::text` }).from(sql`${name} t`)
    all.push(...rows.map(({ row }) => `${table} ${row}`).toSorted())
  }
  return all
}

test('P3: a restored copy has every row, in a new epoch, with an event that says what it means', async (t) => {
  const { w, file, head } = await copied(t)
  const before = await contentOf(w.db)
  for (const store of [await unused(t), await unused(t, embedded)]) {
    const { db } = store
    await restore(file, { db, sealer: w.sealer, now, replace: false })
    const after = await contentOf(db)
    const [said, ...more] = await eventsAfter(db, head.revision, 10)
    assert.deepEqual(more, [])
    assert.equal(said?.number, head.revision + 1)
    assert.equal(said?.kind, 'database.restored')
    assert.equal(said?.destinations, null)
    assert.equal(said?.detail['copiedAt'], now.toISOString())
    assert.match(String(said?.detail['warning']), /grants revoked, sessions ended/)
    assert.notEqual(await readEpoch(db), head.epoch)
    assert.equal(after.filter((row) => !before.includes(row)).length, 1)
    assert.deepEqual(
      before.filter((row) => !after.includes(row)),
      [],
    )
    // What is written next follows on.
    await migrate(db)
    assert.equal(await newest(db), head.revision + 1)
  }
})

test('S4: a backup is for its owner alone, and holds no secret that opens anything', async (t) => {
  const { w, ana, file } = await copied(t)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const text = gunzipSync(readFileSync(file)).toString('utf8')
  assert.ok(text.includes(ana.email))
  for (const person of [ana, w.admin]) {
    assert.ok(!text.includes(person.credential.split('.')[1] ?? '?'), 'the secret of a session')
  }
  assert.doesNotMatch(text, /PRIVATE KEY|"d":/)
  await assert.rejects(backup(w.db, file, now), { code: 'conflict' })
})

test('another sealing key than the one that fits is refused before anything is touched', async (t) => {
  const { file } = await copied(t)
  const { db } = await unused(t)
  const sealer = new Sealer(randomBytes(32))
  const refused = restore(file, { db, sealer, now, replace: true })
  await assert.rejects(refused, { code: 'invalid', message: /sealing key is not the one/ })
  await assert.rejects(db.select().from(installation))
})

test('what a database holds is replaced only where that was said', async (t) => {
  const { w, file, head } = await copied(t)
  const { db } = await unused(t)
  await restore(file, { db, sealer: w.sealer, now, replace: false })
  const again = { db, sealer: w.sealer, now }
  await assert.rejects(restore(file, { ...again, replace: false }), {
    code: 'conflict',
    message: /--replace/,
  })
  await restore(file, { ...again, replace: true })
  const [said] = await eventsAfter(db, head.revision, 10)
  assert.equal(said?.detail['replacedRevision'], head.revision + 1)
})

test('a backup that was cut short, altered or is none is refused, and nothing is changed', async (t) => {
  const { w, dir, file } = await copied(t)
  const { db } = await unused(t)
  await restore(file, { db, sealer: w.sealer, now, replace: false })
  const before = await contentOf(db)
  const whole = gunzipSync(readFileSync(file)).toString('utf8')
  const lines = whole.trimEnd().split('\n')
  const broken: Record<string, Buffer> = {
    'bytes are missing': readFileSync(file).subarray(0, -100),
    'the end is missing': gzipSync(lines.slice(0, -1).join('\n')),
    'a row is missing': gzipSync(lines.toSpliced(50, 1).join('\n')),
    'a row is none': gzipSync(lines.with(50, '{"table":1}').join('\n')),
    'no JSON': gzipSync(lines.with(50, '{').join('\n')),
    'another file': gzipSync('{"a":1}\n'),
    'not zipped': Buffer.from(whole),
    empty: Buffer.alloc(0),
  }
  for (const [what, bytes] of Object.entries(broken)) {
    const path = join(dir, 'broken.gz')
    writeFileSync(path, bytes)
    const refused = restore(path, { db, sealer: w.sealer, now, replace: true })
    await assert.rejects(refused, { code: 'invalid' }, what)
  }
  const nowhere = restore(join(dir, 'absent'), { db, sealer: w.sealer, now, replace: true })
  await assert.rejects(nowhere, { code: 'invalid', message: /there is no file/ })
  assert.deepEqual(await contentOf(db), before)
})

test('a backup of a version that this one does not know is refused', async (t) => {
  const { w, dir, file, head } = await copied(t)
  const { db } = await unused(t)
  const newer = { ...head, migrations: [...head.migrations, { tag: '9999_newer', hash: 'x' }] }
  const rest = gunzipSync(readFileSync(file)).toString('utf8').split('\n').slice(1)
  const path = join(dir, 'newer.gz')
  writeFileSync(path, gzipSync([JSON.stringify(newer), ...rest].join('\n')))
  const refused = restore(path, { db, sealer: w.sealer, now, replace: false })
  await assert.rejects(refused, { code: 'invalid', message: /another version/ })
})

test('no restore under a server that runs', { skip: !isPostgres }, async (t) => {
  const { w, file } = await copied(t)
  const store = await unused(t)
  const parts = { db: store.db, sealer: w.sealer, now, replace: true }
  const stop = await store.listen(channel, () => {})
  const refused = restore(file, parts)
  await assert.rejects(refused, { code: 'conflict', message: /a server runs/ })
  await stop()
})
