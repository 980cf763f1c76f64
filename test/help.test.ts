/** The help of the two programs, word for word. `UPDATE_GOLDEN=1` writes the file anew. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { clean } from './journeys/person.ts'
import { productCommand, run } from './processes.ts'

const golden = new URL('help.golden.txt', import.meta.url)

test('the help of server and connector is as it was agreed, with an example', async () => {
  let all = ''
  for (const program of ['server', 'connector']) {
    const { code, stdout, stderr } = await run([...productCommand(), program, '--help'], clean())
    assert.equal(code, 0)
    assert.equal(stderr, '')
    assert.match(stdout, /\nExamples?:\n {2}\S/, `${program} has no example`)
    all += `$ infra ${program} --help\n${stdout}\n`
  }
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, all)
  assert.equal(all, readFileSync(golden, 'utf8'))
})
