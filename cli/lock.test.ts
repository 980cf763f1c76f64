import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { locked } from './lock.ts'

const long = 60_000

function lockPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'infra-lock-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'it.lock')
}

test('one at a time, and the lock is gone afterwards, also after a failure', async (t) => {
  const path = lockPath(t)
  let inside = 0
  let most = 0
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside)
    await new Promise(setImmediate)
    inside--
  }
  await Promise.all(Array.from({ length: 5 }, () => locked(path, long, work)))
  assert.equal(most, 1)
  await assert.rejects(
    locked(path, long, () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.equal(existsSync(path), false)
})

test('a lock whose holder died is taken over by one of those who wait', async (t) => {
  const path = lockPath(t)
  const { pid } = spawnSync('/bin/true')
  writeFileSync(path, JSON.stringify({ pid, started: '1', host: hostname() }))
  let most = 0
  let inside = 0
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside)
    await new Promise(setImmediate)
    inside--
  }
  await Promise.all([locked(path, long, work), locked(path, long, work)])
  assert.equal(most, 1)
  assert.equal(existsSync(`${path}.takeover`), false)
})

test('a process number that was given again is not the holder', async (t) => {
  const path = lockPath(t)
  writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'long ago', host: hostname() }))
  assert.equal(await locked(path, long, () => 'done'), 'done')
})

test('a lock of a living process, of another machine or of kubectl is waited for, then named', async (t) => {
  const path = lockPath(t)
  const { pid } = spawnSync('/bin/true')
  const texts = [
    '',
    JSON.stringify({ pid, started: '1', host: 'elsewhere' }),
    JSON.stringify({ pid: 1, started: '', host: hostname() }),
  ]
  for (const text of texts) {
    writeFileSync(path, text)
    await assert.rejects(
      locked(path, 0, () => 'done'),
      { code: 'conflict', message: new RegExp(`the lock ${path}$`) },
    )
    assert.equal(existsSync(path), true)
  }
})
