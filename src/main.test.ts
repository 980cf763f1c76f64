import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePort } from '../test/ports.ts'
import { freshDatabase } from '../test/postgres.ts'
import { root, Running } from '../test/processes.ts'
import { fetchWith } from './wire/dial.ts'
import { Client } from './wire/client.ts'

const main = join(root, 'cli', 'main.ts')
const databaseUrl = process.env['INFRA_TEST_DATABASE_URL']
const adminKey = `root.${'r'.repeat(43)}`

type Place = { dataDir: string; port: number; env: Record<string, string> }

async function place(t: TestContext): Promise<Place> {
  const dataDir = mkdtempSync(join(tmpdir(), 'infra-main-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const port = await freePort()
  const database = databaseUrl ? await freshDatabase(databaseUrl) : null
  t.after(() => database?.drop())
  const env = {
    ...(database ? { DATABASE_URL: database.url } : {}),
    PATH: process.env['PATH'] ?? '',
    INFRA_DATA_DIR: dataDir,
    INFRA_LISTEN: `127.0.0.1:${port}`,
    INFRA_ADMIN_ACCESS_KEY: adminKey,
  }
  return { dataDir, port, env }
}

function run(
  t: TestContext,
  { env }: Place,
  words: string[] = [],
  more: Record<string, string> = {},
): Running {
  const running = new Running([process.execPath, main, 'server', ...words], { ...env, ...more })
  t.after(() => running.stop('SIGKILL'))
  return running
}

function clientOf({ dataDir, port }: Place): Client {
  const ca = readFileSync(join(dataDir, 'ca.crt'), 'utf8')
  return new Client(`https://127.0.0.1:${port}`, adminKey, fetchWith(ca))
}

test('a server starts on nothing, is killed in the middle, and has all that it acknowledged', async (t) => {
  const at = await place(t)
  const first = run(t, at)
  await first.says(/"message":"listening"/, 'stderr')
  const client = clientOf(at)
  for (const name of ['a', 'b', 'c']) await client.groups.create({ name })
  const underWay = client.groups.create({ name: 'd' }).catch(() => null)
  await first.stop('SIGKILL')
  await underWay

  const second = run(t, at)
  await second.says(/"message":"listening"/, 'stderr')
  const groups = (await client.groups.list()).map(({ name }) => name)
  assert.deepEqual(groups.slice(0, 3), ['a', 'b', 'c'])
  const numbers = (await client.events.list()).map(({ number }) => number)
  assert.deepEqual(
    numbers,
    Array.from(numbers, (_, index) => index + 1),
  )
  const { code } = await second.stop('SIGTERM')
  assert.equal(code, 0)
  assert.ok(!existsSync(join(at.dataDir, 'server.lock')))
})

const embedded = { skip: Boolean(databaseUrl) }
test(
  'a second server on the same directory, and reset-admin beside a server, are refused in a sentence',
  embedded,
  async (t) => {
    const at = await place(t)
    const first = run(t, at)
    await first.says(/"message":"listening"/, 'stderr')
    for (const words of [[], ['reset-admin']]) {
      const { code, stderr } = await run(t, at, words).ends()
      assert.equal(code, 1)
      const lines = stderr.trim().split('\n')
      assert.equal(lines.length, 1)
      assert.match(lines[0] ?? '', /is in use: the server with process id \d+ runs on it"/)
    }
    assert.ok(await clientOf(at).me.get())
  },
)

test('reset-admin makes a password, which no log shows', async (t) => {
  const at = await place(t)
  const { code, stderr, stdout } = await run(t, at, ['reset-admin']).ends()
  assert.equal(code, 0, stderr)
  const password = readFileSync(join(at.dataDir, 'admin-password'), 'utf8').trim()
  assert.ok(stderr.includes(join(at.dataDir, 'admin-password')))
  assert.ok(!`${stdout}${stderr}`.includes(password))
})

test('S4: a start with another sealing key is refused in a sentence', async (t) => {
  const at = await place(t)
  await (await started(t, at)).stop()
  const { writeFileSync } = await import('node:fs')
  writeFileSync(join(at.dataDir, 'sealing.key'), randomBytes(32).toString('base64'))
  const { code, stderr } = await run(t, at).ends()
  assert.notEqual(code, 0)
  assert.match(
    stderr,
    /the sealing key is not the one that the secrets in the database were sealed/,
  )
})

test('nonsense in a setting is refused at the start, and the help names every setting', async (t) => {
  const at = await place(t)
  const refused = await run(t, at, ['--lease', '14s']).ends()
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /--lease: must be a duration from 15s to 1d/)
  const help = await run(t, at, ['--help']).ends()
  assert.equal(help.code, 0)
  assert.match(help.stdout, /INFRA_SESSION_IDLE/)
})

test('a server behind a proxy speaks plain HTTP, and says so loudly', async (t) => {
  const at = await place(t)
  const server = run(t, at, [], { INFRA_TLS: 'off', INFRA_METRICS_LISTEN: '127.0.0.1:0' })
  await server.says(/"message":"listening"/, 'stderr')
  assert.equal((await fetch(`http://127.0.0.1:${at.port}/readyz`)).status, 200)
  assert.match(server.stderr, /"level":"warn","message":"INFRA_TLS=off/)
})

async function started(t: TestContext, at: Place): Promise<Running> {
  const server = run(t, at)
  await server.says(/"message":"listening"/, 'stderr')
  return server
}
