import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../../test/world.ts'
import { dueAfter, dueAfterFailure } from './due.ts'
import { shortfall, takePlace } from './pace.ts'

test('places lie evenly, however many ask for one at once, and a pause saves none up', async (t) => {
  const { db, client } = await world(t)
  const rules = { issuer: 'https://id.example.com', clientId: 'infra' }
  const { id } = await client.providers.create({ name: 'acme', ...rules })
  const now = new Date('2026-11-23T12:00:00Z')
  const take = (at: Date) => takePlace(db, id, { now: at, perMinute: 120 })
  const places = await Promise.all(Array.from({ length: 5 }, () => take(now)))
  const seconds = places.map((at) => (at.getTime() - now.getTime()) / 1000)
  assert.deepEqual(
    seconds.toSorted((a, b) => a - b),
    [0, 0.5, 1, 1.5, 2],
  )
  const later = new Date(now.getTime() + 60_000)
  assert.deepEqual(await take(later), later)
  assert.deepEqual(await take(later), new Date(later.getTime() + 500))
})

test('limits that do not suffice are said with the figures that would', () => {
  const load = { people: 3000, intervalSeconds: 300, perMinute: 600, atOnce: 10 }
  assert.equal(shortfall({ ...load, requestsEach: 1, secondsEach: 1 }), null)
  assert.deepEqual(shortfall({ ...load, requestsEach: 2, secondsEach: 1 }), {
    questionsPerMinute: 1200,
    questionsAtOnce: 10,
    intervalSeconds: 600,
  })
  assert.deepEqual(shortfall({ ...load, requestsEach: 1, secondsEach: 3 }), {
    questionsPerMinute: 600,
    questionsAtOnce: 30,
    intervalSeconds: 900,
  })
})

test('who was asked about keeps the distance to others; who was late begins anew', () => {
  const at = (seconds: number) => new Date(seconds * 1000)
  assert.deepEqual(dueAfter(at(100), at(101), 300_000), at(400))
  assert.deepEqual(dueAfter(at(100), at(500), 300_000), at(800))
})

test('after a failure the next question comes within the interval, and no later than the grace period ends', () => {
  const at = (seconds: number) => new Date(seconds * 1000)
  const question = { dueAt: at(100), failingSince: at(100) }
  const spans = { intervalMs: 300_000, graceMs: 3_600_000 }
  assert.deepEqual(dueAfterFailure(question, at(101), spans), at(400))
  const daily = { intervalMs: 86_400_000, graceMs: 3_600_000 }
  assert.deepEqual(dueAfterFailure(question, at(101), daily), at(1001))
  assert.deepEqual(dueAfterFailure(question, at(3600), daily), at(3700))
})
