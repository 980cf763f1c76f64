import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createHash } from 'node:crypto'
import { embedded } from './embed.ts'
import { missing } from './migrate.ts'

const first = { tag: '0000_first', text: 'create table a ()' }
const second = { tag: '0001_second', text: 'create table b ()' }
const applied = (...all: { tag: string; text: string }[]) =>
  new Map(all.map(({ tag, text }) => [tag, createHash('sha256').update(text).digest('hex')]))

test('migrations.ts is what drizzle-kit generated: run `bun src/db/embed.ts`', () => {
  const written = readFileSync(new URL('migrations.ts', import.meta.url), 'utf8')
  assert.equal(written, embedded())
})

test('what is not yet applied is applied in order', () => {
  assert.deepEqual(missing([first, second], applied()), [first, second])
  assert.deepEqual(missing([first, second], applied(first)), [second])
  assert.deepEqual(missing([first, second], applied(first, second)), [])
})

test('a database of a newer version is refused', () => {
  assert.throws(() => missing([first], applied(first, second)), /newer version of infra/)
})

test('a migration that was altered after it was applied is refused', () => {
  const altered = { ...first, text: 'drop table a' }
  assert.throws(() => missing([altered], applied(first)), /not the one that was applied/)
})
