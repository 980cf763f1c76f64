/** Secrets on disk: for their owner only, whole or not at all, whoever else is about. */
import assert from 'node:assert/strict'
import { execFileSync, type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { processStarted } from '../test/secrets/process.ts'
import { isPrivate } from './disk/private.ts'
import { fieldOf, jsonOf } from './disk/unknown.ts'
import { readConfig } from './kubeconfig/document.ts'
import { readSessions } from './session.ts'
import { infra, shell } from './testing/child.ts'
import { fakeServer } from './testing/fake-server.ts'
import { done, loggedIn, prod } from './testing/logged-in.ts'
import type { Person } from './testing/transcript.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

function folderOf({ env }: Person): string {
  return env['INFRA_CONFIG_DIR'] ?? ''
}

/** The line that kubectl runs, for the person who is logged in at `server`. */
function pluginLine(ana: Person, server: string): string {
  const id = readSessions(folderOf(ana)).servers[server]?.session?.id ?? ''
  return `tokens create d-prod --server ${server} --session ${id}`
}

function tokenFiles(ana: Person): string[] {
  const folder = join(folderOf(ana), 'tokens')
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
}

/** Everything in a home but the runtime's own cache of sources. */
function namesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => !name.startsWith('.bun')).toSorted()
}

function topIn(folder: string): string[] {
  return namesIn(folder).filter((name) => !name.includes('/'))
}

/** The kept token, not one of its marks. */
function keptIn(ana: Person): string {
  return tokenFiles(ana).find((path) => statSync(path).size > 0) ?? ''
}

test('a file is private when nobody else may read it, and nobody else wrote it', () => {
  const uid = process.geteuid?.() ?? 0
  assert.equal(isPrivate({ mode: 0o100600, uid }), true)
  assert.equal(isPrivate({ mode: 0o100400, uid }), true)
  for (const mode of [0o100640, 0o100604, 0o100620, 0o100666])
    assert.equal(isPrivate({ mode, uid }), false)
  // Root reads everybody's: under sudo the files are those of the person.
  assert.equal(isPrivate({ mode: 0o100600, uid: uid + 1 }), uid === 0)
})

test('L10: sessions that others can read are refused with what to do, by every command, and stay', async (t) => {
  const { ana, world } = await loggedIn(t)
  const path = join(folderOf(ana), 'sessions.json')
  const text = readFileSync(path, 'utf8')
  for (const mode of [0o644, 0o660, 0o602]) {
    chmodSync(path, mode)
    for (const line of ['list', 'logout', `login ${world.url} --user ana@example.com`]) {
      const { code, err } = await ana.types(line)
      assert.equal(code, 1, line)
      assert.match(err, /^error: [^\n]*sessions.json is not yours alone[^\n]*\nhint: remove /)
    }
    assert.equal(readFileSync(path, 'utf8'), text)
  }
  chmodSync(path, 0o600)
  await done(ana, 'list')
})

test('L10: a kept token that others can read is not used, and its successor is private', async (t) => {
  const { ana, world } = await loggedIn(t)
  const line = `${infra} ${pluginLine(ana, world.url)}`
  await shell(line, ana.env)
  chmodSync(keptIn(ana), 0o644)
  await shell(line, ana.env)
  assert.equal(world.requests('/api/tokens').length, 2)
  assert.equal(statSync(keptIn(ana)).mode & 0o777, 0o600)
  for (const path of tokenFiles(ana)) assert.equal(statSync(path).mode & 0o777, 0o600, path)
})

test('L10: everything that a login makes is for its owner only, whatever the umask', async (t) => {
  const { ana, world } = await loggedIn(t)
  rmSync(folderOf(ana), { recursive: true })
  rmSync(ana.env['KUBECONFIG'] ?? '')
  const login = `umask 0; ${infra} login ${world.url} --user ana@example.com`
  assert.equal((await shell(login, ana.env)).code, 0)
  assert.equal((await shell(`umask 0; ${infra} ${pluginLine(ana, world.url)}`, ana.env)).code, 0)
  for (const name of namesIn(ana.folder)) {
    const about = statSync(join(ana.folder, name))
    assert.equal(about.mode & 0o077, 0, name)
  }
})

test('a pipe in the place of a token, of its lock or of the sessions holds nobody up', async (t) => {
  const { ana, world } = await loggedIn(t)
  const line = pluginLine(ana, world.url)
  await shell(`${infra} ${line}`, ana.env)
  const kept = keptIn(ana)
  rmSync(kept)
  execFileSync('mkfifo', [kept])
  const { out } = await done(ana, line)
  assert.equal(fieldOf(fieldOf(jsonOf(out), 'status'), 'token'), 'token-2')
  assert.ok(lstatSync(kept).isFile(), 'the pipe has given way')
  const sessions = join(folderOf(ana), 'sessions.json')
  rmSync(sessions)
  execFileSync('mkfifo', [sessions])
  assert.match((await ana.types('list')).err, /sessions.json is not a regular file\n$/)
})

test('K1, K3: on a full disk the kubeconfig stays whole, no lock is left, and kubectl gets its token', async (t) => {
  const { ana, world } = await loggedIn(t)
  const path = ana.env['KUBECONFIG'] ?? ''
  const before = readFileSync(path, 'utf8')
  const line = pluginLine(ana, world.url)
  world.destinations = [prod, { ...prod, id: 'd-lab', name: 'lab' }]
  // Not one byte can be written to a file: what a full disk says, and cheaper to have.
  const full = (words: string) => shell(`ulimit -f 0; ${infra} ${words}`, ana.env)
  const list = await full('list')
  assert.equal(list.code, 1)
  assert.match(list.err, /^error: .*(EFBIG|too large)/)
  assert.equal(readFileSync(path, 'utf8'), before)
  const token = await full(line)
  assert.equal(token.code, 0, token.err)
  assert.equal(fieldOf(fieldOf(jsonOf(token.out), 'status'), 'token'), 'token-1')
  assert.equal((await full('logout')).code, 1)
  assert.deepEqual(topIn(ana.folder), ['config', 'kubeconfig'])
  assert.deepEqual(readdirSync(folderOf(ana)).toSorted(), ['sessions.json', 'tokens'])
  assert.deepEqual(tokenFiles(ana), [])
  // A kilobyte more: the lock fits, the kubeconfig does not.
  assert.equal((await shell(`ulimit -f 1; ${infra} list`, ana.env)).code, 1)
  assert.equal(readFileSync(path, 'utf8'), before)
  assert.deepEqual(topIn(ana.folder), ['config', 'kubeconfig'])
})

function started({ env }: Person, words: string): ChildProcess {
  processStarted(['infra', ...words.split(' ')], env)
  return spawn(process.execPath, [main, ...words.split(' ')], { env, stdio: 'ignore' })
}

test('K3: a kubeconfig is whole whenever its writer is killed, and the next one is not held up', async (t) => {
  const { ana, world } = await loggedIn(t)
  const path = ana.env['KUBECONFIG'] ?? ''
  const mine = (name: string) => ({ ...prod, id: `d-${name}`, name })
  const note = `# ${'x'.repeat(200_000)}\n`
  writeFileSync(path, note + readFileSync(path, 'utf8'))
  for (let round = 0; round < 4; round++) {
    world.destinations = [prod, mine(`lab-${round}`)]
    const child = started(ana, 'list')
    const exited = once(child, 'exit')
    // Killed at the lock, at the temporary file or at the name, as it happens.
    await killedOnceBusy(child, ana.folder, round)
    await exited
    const text = readFileSync(path, 'utf8')
    assert.ok(text.startsWith(note))
    assert.ok(readConfig(text).users.some(({ name }) => name === 'infra:prod'))
    await done(ana, 'list')
    assert.ok(readFileSync(path, 'utf8').includes(`infra:lab-${round}`))
  }
})

/** Kills the process as soon as something of its own stands in the folder, or it is over. */
async function killedOnceBusy(child: ChildProcess, folder: string, turns: number): Promise<void> {
  const isBusy = (): boolean => readdirSync(folder).some((name) => /\.(lock|tmp)$/.test(name))
  while (child.exitCode === null && !isBusy()) await new Promise(setImmediate)
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
  child.kill('SIGKILL')
}

test('K3: eight runs at once of login, list, use and tokens leave one whole kubeconfig and all sessions', async (t) => {
  const { ana, world } = await loggedIn(t)
  const other = await fakeServer(t)
  other.destinations = [{ ...prod, id: 'd-other' }]
  const line = pluginLine(ana, world.url)
  const lines = [
    ...[
      `login ${other.url} --user ana@example.com`,
      'list',
      'use prod',
      'use prod.web',
      line,
      line,
    ],
    ...['list', 'use prod.api'],
  ]
  // Each for the server that it was typed for: a login makes its own the current one.
  const env = { ...ana.env, INFRA_SERVER: world.url }
  const runs = await Promise.all(lines.map((words) => shell(`${infra} ${words}`, env)))
  for (const [at, { code, err }] of runs.entries()) assert.equal(code, 0, `${lines[at]}: ${err}`)
  const text = readFileSync(ana.env['KUBECONFIG'] ?? '', 'utf8')
  assert.deepEqual(
    readConfig(text)
      .users.map(({ name }) => name)
      .toSorted(),
    ['infra:prod', `infra:prod@${new URL(other.url).host}`],
  )
  assert.deepEqual(
    Object.keys(readSessions(folderOf(ana)).servers).toSorted(),
    [world.url, other.url].toSorted(),
  )
  assert.equal(world.requests('/api/tokens').length, 1)
  assert.deepEqual(topIn(ana.folder), ['config', 'kubeconfig'])
})
