import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashPassword, oneTimePassword, verifyPassword } from './passwords.ts'
import { Failure } from './wire/failure.ts'

test('a password is stored as argon2id of the agreed cost and verified', async () => {
  const hashed = await hashPassword('correct horse')
  assert.match(hashed, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  assert.equal(await verifyPassword(hashed, 'correct horse'), true)
  assert.equal(await verifyPassword(hashed, 'correct horsf'), false)
  assert.notEqual(await hashPassword('correct horse'), hashed)
})

test('where there is no hash no password is right', async () => {
  assert.equal(await verifyPassword(null, ''), false)
  assert.equal(await verifyPassword(null, 'x'), false)
})

test('an accented letter is the same in one code point and in two', async () => {
  const hashed = await hashPassword('caf\u00e9 au lait')
  assert.equal(await verifyPassword(hashed, 'cafe\u0301 au lait'), true)
})

test('a one-time password has 20 clear letters, no spaces, and never comes twice', () => {
  const made = new Set(Array.from({ length: 200 }, oneTimePassword))
  assert.equal(made.size, 200)
  for (const password of made) {
    assert.match(password, /^[a-hjkmnp-z2-9]{5}(-[a-hjkmnp-z2-9]{5}){3}$/)
  }
})

test('a queue of more passwords than anybody would wait for is refused, and the rest is answered', async () => {
  const answers = await Promise.allSettled(
    Array.from({ length: 110 }, () => verifyPassword(null, 'x')),
  )
  const refused = answers.filter((answer) => answer.status === 'rejected')
  assert.equal(refused.length, 6)
  for (const { reason } of refused) {
    assert.ok(reason instanceof Failure)
    assert.equal(reason.code, 'unavailable')
  }
  assert.equal(await verifyPassword(null, 'x'), false)
})
