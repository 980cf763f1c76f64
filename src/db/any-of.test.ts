import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anyOf } from './any-of.ts'
import { users } from './schema.ts'

test('an id that would be taken for two is refused', () => {
  assert.throws(() => anyOf(users.id, ['one', 'two three']), /space/)
  anyOf(users.id, ['one', 'two', ''])
})
