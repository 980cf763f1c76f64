/** The database goes back in time, bounded. */
import { test } from 'node:test'
import { play, wasLookedAt } from './bounded.ts'

test('a database that went back: what stands is what stood then, and nothing else is open', async (t) => {
  const report = await play(t, 2, [{ what: 'restore', by: 'disk' }])
  wasLookedAt(report, { admissions: 10, lines: 20, knocks: 60, changes: 30, settled: 4 })
})
