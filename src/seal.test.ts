import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Sealer } from './seal.ts'

const sealer = new Sealer(randomBytes(32))

test('what is sealed opens again, for the same purpose', () => {
  assert.equal(sealer.open(sealer.seal('péché', 'a'), 'a'), 'péché')
  assert.equal(sealer.open(sealer.seal('', 'a'), 'a'), '')
})

test('the same text is sealed otherwise each time, and shows in none', () => {
  const [one, two] = [sealer.seal('secret', 'a'), sealer.seal('secret', 'a')]
  assert.notEqual(one, two)
  assert.ok(!Buffer.from(one.slice(3), 'base64url').includes('secret'))
})

test('S4: another key, another purpose, and an altered or shortened text open nothing', () => {
  const sealed = sealer.seal('secret', 'a')
  const flipped = Buffer.from(sealed.slice(3), 'base64url')
  flipped[30] = (flipped[30] ?? 0) ^ 1
  assert.throws(() => new Sealer(randomBytes(32)).open(sealed, 'a'))
  assert.throws(() => sealer.open(sealed, 'b'))
  assert.throws(() => sealer.open(`v1.${flipped.toString('base64url')}`, 'a'))
  assert.throws(() => sealer.open(sealed.slice(0, -8), 'a'))
  assert.throws(() => sealer.open(sealed.slice(0, 20), 'a'))
  assert.throws(() => sealer.open(`v2.${sealed.slice(3)}`, 'a'))
})

test('a key of another length is refused', () => {
  assert.throws(() => new Sealer(randomBytes(16)), /32 bytes/)
})
