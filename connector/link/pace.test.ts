import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askAgainAfterMs, pollEveryMs, pingEveryMs, redialAfterMs, silentAfterMs } from './pace.ts'

test('three pings fit into a lease, within a second and half a minute', () => {
  assert.equal(pingEveryMs(15), 5_000)
  assert.equal(pingEveryMs(360), 30_000)
  assert.equal(pingEveryMs(86_400), 30_000)
  assert.equal(pingEveryMs(1), 1_000)
  assert.equal(pingEveryMs(null), 5_000)
})

test('two pings without a beat are silence, five seconds at the least', () => {
  assert.equal(silentAfterMs(30_000), 60_000)
  assert.equal(silentAfterMs(1_000), 5_000)
})

test('it dials again anywhere within two seconds at first, and within fifteen at the most', () => {
  assert.deepEqual([0, 1, 2, 3, 1000].map(latest), [2_000, 4_000, 8_000, 15_000, 15_000])
  assert.equal(
    redialAfterMs({ failures: 5, isRefused: false }, () => 0),
    0,
  )
})

test('a refused key is tried again slowly', () => {
  assert.equal(
    redialAfterMs({ failures: 0, isRefused: true }, () => 0),
    30_000,
  )
})

function latest(failures: number): number {
  return redialAfterMs({ failures, isRefused: false }, () => 1)
}

test('the poll goes by its interval, and three times in a lease where that is shorter', () => {
  const every = (intervalSeconds: number, leaseSeconds: number | null, hasLapsed = false) =>
    pollEveryMs({ intervalSeconds, leaseSeconds, hasLapsed }, () => 0)
  assert.equal(every(300, 86_400), 300_000)
  assert.equal(every(300, 360), 120_000)
  assert.equal(every(300, 15), 5_000)
  assert.equal(every(300, null), 300_000)
  assert.equal(every(300, 86_400, true), 5_000, 'people wait')
  const most = { intervalSeconds: 300, leaseSeconds: 15, hasLapsed: false }
  assert.equal(
    pollEveryMs(most, () => 1),
    4_000,
    'sooner, never later',
  )
})

test('a poll that failed is tried again before it would be due; one refused twice, slowly', () => {
  const again = (failures: number, refusals: number) =>
    askAgainAfterMs({ failures, refusals, everyMs: 5_000 }, () => 1)
  assert.equal(again(1, 0), 2_500)
  assert.equal(again(9, 0), 5_000)
  assert.equal(again(1, 1), 1_000)
  assert.equal(again(2, 2), 30_000)
})
