import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { commandsBeneath } from './argv.ts'

test('L10: arguments are seen of whatever runs beneath this process, at any depth', async (t) => {
  const word = `--token=${process.pid}-in-its-arguments`
  // A shell that stays, and a child of its own that says when it runs.
  const script = `node=$1; shift; "$node" -e 'console.log(1); process.stdin.resume()' -- "$@"; true`
  const child = spawn('sh', ['-c', script, 'sh', process.execPath, word], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.stdin.end())
  await once(child.stdout, 'data')
  const seen = commandsBeneath(process.pid).filter((command) => command.split('\n').includes(word))
  assert.equal(seen.length, 2, 'the shell and what it started')
})
