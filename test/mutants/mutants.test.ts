/** The table of deliberate breaks keeps step with the code: `npm run test:mutants` applies them. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../processes.ts'
import { mutants } from './table.ts'
import { outcomeOf, overdue } from './verdict.ts'

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

test('only a test that judged has killed a mutant', () => {
  const bun = (output: string) => outcomeOf('bun', 1, output, 'a.test.ts')
  const node = (output: string) => outcomeOf('node', 1, output, 'a.test.ts')
  assert.equal(outcomeOf('bun', 0, '(pass) one [1.38ms]\n', 'a.test.ts'), 'passed')
  assert.equal(bun('AssertionError: 1 !== 2\n(fail) D5: two [0.91ms]\nRan 2 tests'), 'failed')
  assert.equal(
    bun('(fail) one [20000.33ms]\n  ^ this test timed out after 20000ms, before'),
    'hung',
  )
  assert.equal(bun(`(pass) one [1.38ms]\n${overdue}\n`), 'hung')
  assert.equal(bun('# Unhandled error between tests\nerror: Unexpected end of file\n'), 'broken')
  assert.equal(bun('ReferenceError: aud is not defined\n(fail) one [1ms]\nRan'), 'broken')
  assert.equal(bun('killed\n'), 'broken')
  assert.equal(node('✖ D5: two (0.7ms)\nℹ pass 1\nℹ fail 1\nℹ cancelled 1\n'), 'failed')
  assert.equal(node('✖ one (20000ms)\nℹ pass 0\nℹ fail 0\nℹ cancelled 1\n'), 'hung')
  assert.equal(node('✖ a.test.ts (110.2ms)\nℹ pass 0\nℹ fail 1\nℹ cancelled 0\n'), 'broken')
})
