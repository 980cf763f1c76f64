import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { type World, world } from '../test/world.ts'
import { signingKeys } from './db/schema.ts'
import { Sealer } from './seal.ts'
import { ensureSigningKey, keepSigningKeys, publicKeys, rotate, signToken } from './signing.ts'

const minute = 60_000
const claims = (now: Date) => ({
  destinationId: 'd',
  userId: 'u',
  credentialId: 'c',
  expiresAt: new Date(now.getTime() + minute),
})

const after = (from: Date, ms: number): Date => new Date(from.getTime() + ms)

async function kidAt(w: World, now: Date): Promise<string | undefined> {
  return decodeProtectedHeader(await signToken({ ...w, now }, claims(now))).kid
}

test('a token says who, for where, by which session, and until when, and is verified by the public keys', async (t) => {
  const w = await world(t)
  const { now } = w.clock
  const token = await signToken({ ...w, now }, claims(now))
  const keys = createLocalJWKSet({ keys: await publicKeys(w.db, now) })
  const { payload, protectedHeader } = await jwtVerify(token, keys, { currentDate: now })
  const seconds = Math.floor(now.getTime() / 1000)
  assert.deepEqual(payload, {
    ...{ iss: w.settings.url, aud: 'd', sub: 'u', sid: 'c', iat: seconds, exp: seconds + 60 },
  })
  assert.equal(protectedHeader.alg, 'ES256')
  assert.equal(protectedHeader.typ, 'infra+jwt')
})

test('the private half is sealed, and the public half holds nothing of it', async (t) => {
  const { db, clock } = await world(t)
  const [row] = await db.select().from(signingKeys)
  assert.match(row?.privateKey ?? '', /^v1\./)
  for (const key of await publicKeys(db, clock.now)) assert.ok(!('d' in key))
})

test('a key that was sealed with another sealing key signs nothing', async (t) => {
  const w = await world(t)
  const now = w.clock.now
  await signToken({ ...w, now }, claims(now))
  const other = new Sealer(randomBytes(32))
  await assert.rejects(signToken({ ...w, sealer: other, now }, claims(now)))
})

test('one key is made, however many servers start at once', async (t) => {
  const { db, sealer, clock } = await world(t)
  await db.delete(signingKeys)
  await Promise.all([1, 2, 3].map(() => ensureSigningKey(db, sealer, clock.now)))
  assert.equal((await publicKeys(db, clock.now)).length, 1)
})

test('the next key is published at once, and signs when every connector must have it', async (t) => {
  const w = await world(t)
  const start = w.clock.now
  const first = await kidAt(w, start)
  await w.client.destinations.create({ name: 'far' })
  await w.client.destinations.update({ destination: 'far', leaseSeconds: 3600 })
  const signsFrom = await rotate(w.db, w.sealer, start, w.settings)
  assert.equal(signsFrom.getTime(), start.getTime() + 3600_000)
  assert.equal((await publicKeys(w.db, start)).length, 2)
  assert.equal(await kidAt(w, after(signsFrom, -1)), first)
  assert.notEqual(await kidAt(w, signsFrom), first)
})

test('the key before it stays published until no token of it can be good', async (t) => {
  const w = await world(t)
  const start = w.clock.now
  const signsFrom = await rotate(w.db, w.sealer, start, w.settings)
  const lastToken = after(signsFrom, w.settings.tokenSeconds * 1000)
  const lastLease = after(lastToken, w.settings.leaseSeconds * 1000)
  assert.equal((await publicKeys(w.db, lastLease)).length, 2)
  const gone = after(lastLease, 10 * minute)
  assert.equal((await publicKeys(w.db, gone)).length, 1)
  await keepSigningKeys(w.db, w.sealer, gone, w.settings)
  assert.equal((await w.db.select().from(signingKeys)).length, 1)
  await kidAt(w, gone)
})

test('a clock that is set back behind the first key locks nobody out: that key signs', async (t) => {
  const w = await world(t)
  const [first] = await publicKeys(w.db, w.clock.now)
  assert.equal(await kidAt(w, after(w.clock.now, -10 * minute)), first?.kid)
  await rotate(w.db, w.sealer, w.clock.now, w.settings)
  assert.equal(await kidAt(w, after(w.clock.now, -10 * minute)), first?.kid)
})

test('a rotation while one is under way makes no third key', async (t) => {
  const w = await world(t)
  const signsFrom = await rotate(w.db, w.sealer, w.clock.now, w.settings)
  const again = await rotate(w.db, w.sealer, after(w.clock.now, minute), w.settings)
  assert.deepEqual(again, signsFrom)
  assert.equal((await w.db.select().from(signingKeys)).length, 2)
})

test('keys are rotated every ninety days, and each step is an event for every destination', async (t) => {
  const w = await world(t)
  const days = (count: number): Date => after(w.clock.now, count * 86_400_000)
  await keepSigningKeys(w.db, w.sealer, days(89), w.settings)
  assert.equal((await publicKeys(w.db, days(89))).length, 1)
  await keepSigningKeys(w.db, w.sealer, days(91), w.settings)
  assert.equal((await publicKeys(w.db, days(91))).length, 2)
  await keepSigningKeys(w.db, w.sealer, days(92), w.settings)
  const happened = await w.client.events.list()
  assert.deepEqual(
    happened.map(({ kind, destinations }) => [kind, destinations]),
    [
      ['signing_key.created', null],
      ['signing_key.created', null],
      ['signing_key.retired', null],
    ],
  )
})
