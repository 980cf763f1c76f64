import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal, Refusals, Sample } from '../status.ts'
import { defaultLimits } from './limits.ts'
import { networkOf, Places, type Place } from './places.ts'

const lines: unknown[] = []
const placesOf = (connections: number, strangers: number) =>
  new Places({ ...defaultLimits, connections, strangers }, (...line) => lines.push(line))

/** Places, and who has been shown out so far. */
function crowded(connections: number, strangers: number) {
  const places = placesOf(connections, strangers)
  const out: string[] = []
  const come = (name: string, address: string): Place => {
    const place = places.take(address, () => out.push(name))
    assert.ok(place, `${name} found no place`)
    return place
  }
  return { places, out, come, open: () => Object.fromEntries(places.open) }
}

test('D11, O2: one stranger too many takes the place of the oldest from where most come', () => {
  const { places, out, come, open } = crowded(100, 4)
  come('first', '10.0.0.1')
  for (const name of ['a', 'b', 'c']) come(name, '10.0.0.2')
  come('second', '10.0.0.3')
  assert.deepEqual(out, ['a'])
  for (const name of ['d', 'e', 'f', 'g']) come(name, '10.0.0.2')
  assert.deepEqual(out, ['a', 'b', 'c', 'd', 'e'], 'a flood pushes out its own')
  assert.deepEqual(open(), { stranger: 4, idle: 0, busy: 0 })
  assert.equal(places.closed.get('displaced'), 5)
})

test('D11: with IPv6 a machine has a whole /64, and counts as one', () => {
  const { out, come } = crowded(100, 2)
  come('first', '2001:db8::1')
  come('a', '2001:db8:1:1::1')
  come('b', '2001:db8:1:1:ffff::2')
  come('c', '2001:db8:1:1:2:3:4:5')
  assert.deepEqual(out, ['first', 'a'], 'the oldest, until one network has more than another')
  assert.equal(networkOf('2001:db8::1'), '2001:db8:0:0')
  assert.equal(networkOf('::1'), '0:0:0:0')
  assert.equal(networkOf('::ffff:10.0.0.1'), '::ffff:10.0.0.1')
  assert.equal(networkOf('10.0.0.1'), '10.0.0.1')
})

test('D11: a request that is open keeps its place; strangers go first, then whoever is idle most', () => {
  const { places, out, come, open } = crowded(6, 6)
  for (const name of ['w1', 'w2']) come(name, 'x').busy()
  for (const [name, user] of [
    ['bo', 'u-bo'],
    ['ana1', 'u-ana'],
    ['ana2', 'u-ana'],
  ] as const) {
    const place = come(name, 'x')
    place.busy()
    place.idle(user)
  }
  come('stranger', 'y')
  assert.deepEqual(open(), { stranger: 1, idle: 3, busy: 2 })
  come('n1', 'z').busy()
  come('n2', 'z').busy()
  come('n3', 'z').busy()
  come('n4', 'z').busy()
  assert.deepEqual(out, ['stranger', 'ana1', 'bo', 'ana2'])
  assert.equal(
    places.take('z', () => out.push('full')),
    null,
  )
  assert.deepEqual(open(), { stranger: 0, idle: 0, busy: 6 })
  assert.equal(places.closed.get('full'), 1)
})

test('a place is given up once, in whatever state its connection closes', () => {
  const { come, open } = crowded(9, 9)
  const [stranger, busy, idle] = [come('s', 'x'), come('b', 'x'), come('i', 'x')]
  busy.busy()
  idle.busy()
  idle.idle('u-ana')
  for (const place of [stranger, busy, idle, stranger, busy, idle]) place.leave()
  // A request that was open when its connection closed ends after it.
  busy.idle('u-ana')
  assert.deepEqual(open(), { stranger: 0, idle: 0, busy: 0 })
})

test('to be idle for long is no fault, to be slow is', () => {
  const { places, out, come } = crowded(9, 9)
  const kept = come('kept', 'x')
  kept.busy()
  kept.idle('u-ana')
  kept.late(false)
  assert.equal(places.closed.get('slow'), 0)
  come('silent', 'x').late(false)
  assert.equal(places.closed.get('slow'), 1)
  assert.deepEqual(out, ['kept', 'silent'])
})

test('D11: of what a flood is refused a sample is logged, and all of it is counted', () => {
  let now = 0
  const sample = new Sample(() => now)
  const taken = (times: number) => Array.from({ length: times }, () => sample.takes())
  assert.equal(taken(10_000).filter(Boolean).length, 100)
  now = 999
  assert.ok(!sample.takes())
  now = 1_000
  assert.deepEqual(taken(3), [true, false, false])

  const logged: unknown[] = []
  const refusals = new Refusals(
    (...line) => logged.push(line),
    () => now,
  )
  const refusal = new Refusal(401, 'one Authorization header with a Bearer token is needed')
  for (let n = 0; n < 10_000; n += 1) refusals.note(refusal, `10.0.${n % 256}.1`)
  assert.equal(logged.length, 100)
  refusals.note(new Refusal(400, 'malformed'), null)
  assert.equal(logged.length, 101, 'a flood of one kind hides no other')
  assert.deepEqual(
    [...refusals.counts],
    [
      [401, 10_000],
      [400, 1],
    ],
  )
})
