/** docs/guarantee.md promises nothing that no test shows. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { testsIn } from '../scripts/security.ts'
import { root } from './processes.ts'

type Statement = { number: string; text: string; cited: { path: string; name: string }[] }

const page = readFileSync(join(root, 'docs/guarantee.md'), 'utf8')
const [intro = '', ...sections] = page.split(/^## .*$/m)
const blocks = sections.flatMap((section) => section.trim().split(/\n\n/))
const opening = /^<a id="(g\d+)"><\/a>\*\*(G\d+)\.\*\* /
const citation = /^- `([^`]+\.test\.ts)` "(.*)"$/

function statementOf(block: string): Statement {
  const [, anchor = '', number = ''] = opening.exec(block) ?? []
  const lines = block.replace(opening, '').split('\n')
  assert.equal(anchor, number.toLowerCase(), `no statement, or one without its number: ${block}`)
  return {
    number,
    text: lines.filter((line) => !line.startsWith('- ')).join(' '),
    cited: lines.flatMap((line) => {
      const [, path, name] = citation.exec(line) ?? []
      return path !== undefined && name !== undefined ? [{ path, name }] : []
    }),
  }
}

const statements = blocks.map(statementOf)

test('every statement has a number, in order, and tests that show it', () => {
  assert.deepEqual(
    statements.map(({ number }) => number),
    statements.map((_, index) => `G${index + 1}`),
  )
  for (const { number, text, cited } of statements) {
    assert.match(text, /\S.*[.?]/, `${number} says nothing`)
    assert.ok(cited.length > 0, `${number} has no test`)
  }
})

test('every test that the page names is in its file', () => {
  const missing = statements
    .flatMap(({ cited }) => cited)
    .filter(({ path, name }) => !existsSync(join(root, path)) || !testsIn(path).includes(name))
  assert.deepEqual(missing, [])
})

test('the table at the top leads to statements that are there', () => {
  const led = [...intro.matchAll(/\]\(#(g\d+)\)/g)].map(([, anchor]) => anchor)
  const there = new Set(statements.map(({ number }) => number.toLowerCase()))
  assert.ok(led.length > 10)
  assert.deepEqual(
    led.filter((anchor) => !there.has(anchor ?? '')),
    [],
  )
})
