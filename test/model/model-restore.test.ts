/** The database goes back in time, bounded. */
import { test } from 'node:test'
import { play } from './bounded.ts'

test('a database that went back: what stands is what stood then, and nothing else is open', async (t) => {
  await play(t, {
    seed: 2,
    phases: [{ what: 'restore', by: 'disk' }],
    wanted: { admissions: 10, lines: 20, knocks: 60, changes: 30, settled: 4 },
  })
})
