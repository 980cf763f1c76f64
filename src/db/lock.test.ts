import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lockDirectory } from './lock.ts'

function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'infra-lock-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

test('a directory is held once, and free again when it is released', (t) => {
  const dir = directory(t)
  const lock = lockDirectory(dir)
  assert.throws(() => lockDirectory(dir), {
    code: 'conflict',
    message: `${dir} is in use: the server with process id ${process.pid} runs on it`,
  })
  lock.release()
  lockDirectory(dir).release()
  assert.deepEqual(readdirSync(dir), [])
})

test('a directory whose holder was killed is taken over', async (t) => {
  const dir = directory(t)
  const lockModule = fileURLToPath(new URL('lock.ts', import.meta.url))
  const code = `const { lockDirectory } = await import(${JSON.stringify(lockModule)})
    lockDirectory(${JSON.stringify(dir)}); console.log('held'); setInterval(() => {}, 1000)`
  const script = join(dir, 'hold.ts')
  writeFileSync(script, code)
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  assert.throws(() => lockDirectory(dir), { code: 'conflict' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  lockDirectory(dir).release()
})

test('a process that only bears the id of a dead holder is none', (t) => {
  const dir = directory(t)
  const lock = lockDirectory(dir)
  lock.release()
  const realm = JSON.parse(heldText(dir)) as { realm: string }
  const another = JSON.stringify({ ...realm, pid: process.pid, startedAt: '1' })
  writeFileSync(join(dir, 'server.lock'), another)
  lockDirectory(dir).release()
})

test('a holder in another container counts while it touches the file, and not after', (t) => {
  const dir = directory(t)
  const path = join(dir, 'server.lock')
  writeFileSync(path, JSON.stringify({ pid: 1, startedAt: '1', realm: 'another pid:[1]' }))
  assert.throws(() => lockDirectory(dir), { code: 'conflict' })
  const longAgo = new Date(Date.now() - 60_000)
  utimesSync(path, longAgo, longAgo)
  lockDirectory(dir).release()
})

function heldText(dir: string): string {
  const lock = lockDirectory(dir)
  const text = readFileSync(join(dir, 'server.lock'), 'utf8')
  lock.release()
  return text
}
