/** The table of deliberate breaks keeps step with the code: `npm run test:mutants` applies them. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../processes.ts'
import { mutants } from './table.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

test('what a mutant replaces stands in its file exactly once, and is replaced by something else', () => {
  const wrong = mutants.filter(({ file, old, new: other }) => {
    return read(file).split(old).length !== 2 || old === other
  })
  assert.deepEqual(
    wrong.map(({ name, file }) => `${file}: ${name}`),
    [],
  )
})

test('the tests that a mutant turns red are there, and none of them is a mutant’s own file', () => {
  for (const { name, file, tests } of mutants) {
    assert.ok(tests.length > 0, name)
    assert.doesNotMatch(file, /\.test\.ts$/)
    for (const path of tests) assert.ok(existsSync(join(root, path)), `${name}: ${path}`)
  }
})

test('a mutant is named by the line that falls with it, and no two alike', () => {
  const names = mutants.map(({ name }) => name)
  assert.deepEqual(
    names.filter((name) => !/^[DKPRLSO]\d+(, [DKPRLSO]\d+)*: \S/.test(name)),
    [],
  )
  assert.equal(new Set(names).size, names.length)
})

test('every part of the connector’s door is broken somewhere', () => {
  const broken = new Set(mutants.map(({ file }) => file))
  for (const part of ['http1', 'token', 'spoken', 'door', 'impersonate']) {
    assert.ok(broken.has(`connector/door/${part}.ts`), part)
  }
  assert.ok(mutants.length >= 40)
})
