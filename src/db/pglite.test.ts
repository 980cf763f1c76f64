import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { newest } from '../events.ts'
import { users } from './schema.ts'
import { migrate } from './migrate.ts'
import { openPglite } from './pglite.ts'

function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'infra-pglite-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

test('what a killed process had acknowledged is there, in a database that opens whole', async (t) => {
  const dir = directory(t)
  const at = (name: string) => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)))
  const script = join(dir, 'write.ts')
  writeFileSync(
    script,
    `const { openPglite } = await import(${at('pglite.ts')})
    const { migrate } = await import(${at('migrate.ts')})
    const { users } = await import(${at('schema.ts')})
    const { record } = await import(${at('../events.ts')})
    const { db } = await openPglite(${JSON.stringify(join(dir, 'pglite'))})
    await migrate(db)
    for (let n = 1; ; n++) {
      await db.transaction(async (tx) => {
        await tx.insert(users).values({ id: String(n), email: n + '@example.com', createdAt: new Date() })
        await record(tx, { kind: 'system' }, new Date(), { kind: 'test', detail: {}, destinations: null })
      })
      process.stdout.write(n + '\\n')
    }`,
  )
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  await new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      // In the middle of writing: the next transactions are already under way.
      if (said.split('\n').length > 50) child.kill('SIGKILL')
    })
    child.once('close', () => resolve())
  })
  const acknowledged = Number(said.trim().split('\n').at(-1))
  const store = await openPglite(join(dir, 'pglite'))
  const found = (await store.db.select().from(users)).length
  assert.ok(acknowledged >= 50)
  assert.ok(found >= acknowledged, `${found} of ${acknowledged} rows are left`)
  assert.equal(await newest(store.db), found)
  await store.close()
})

test('what a first start that was killed left behind is made anew', async (t) => {
  const dir = directory(t)
  const half = join(dir, 'pglite.unfinished-1')
  mkdirSync(half)
  writeFileSync(join(half, 'PG_VERSION'), '18\n')
  const store = await openPglite(join(dir, 'pglite'))
  await migrate(store.db)
  assert.deepEqual(await store.db.select().from(users), [])
  assert.deepEqual(readdirSync(dir), ['pglite'])
  await store.close()
})
