/** docs/security.md says of each threat what holds here and which test shows it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { allTests, blocksOf, numbersOf, securityPage, testsIn } from '../scripts/security.ts'
import { root } from './processes.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const page = read('docs/security.md')
const lines = blocksOf(page).filter(({ number }) => number !== null)

/** How many lines each family has. */
const families = { D: 11, R: 7, L: 13, K: 5, S: 5, P: 9, O: 8 }

test('every line of threats stands on the page once, in order', () => {
  const wanted = Object.entries(families).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, at) => `${letter}${at + 1}`),
  )
  assert.deepEqual(
    lines.map(({ number }) => number),
    wanted,
  )
})

test('every line says what went wrong, what holds, a verdict, and by which tests', () => {
  for (const { number, text, cited } of lines) {
    const words = text.join('\n')
    assert.match(words, /^\*\*(Elsewhere|Could be)\.\*\* \S/m, `${number}`)
    assert.match(words, /^\*\*Here\.\*\* \S/m, `${number}`)
    assert.match(words, /^\*\*Verdict\.\*\* \S/m, `${number}`)
    assert.ok(cited.length > 0 || words.includes('No test: '), `${number} has no test`)
  }
})

test('every test that the page names is in its file', () => {
  const cited = lines.flatMap((block) => block.cited)
  assert.ok(cited.length > 150)
  const missing = cited.filter(({ path, name }) => {
    return !existsSync(join(root, path)) || !testsIn(path).includes(name)
  })
  assert.deepEqual(missing, [])
})

test('the page lists every test that is named after a line, as `npm run docs` makes it', () => {
  assert.ok(page === securityPage(page), 'docs/security.md is behind: npm run docs')
})

test('a test is named after lines that are there', () => {
  const known = new Set(lines.map(({ number }) => number))
  const unknown = allTests().filter(({ name }) => numbersOf(name).some((one) => !known.has(one)))
  assert.deepEqual(unknown, [])
})
