/** Everything at once, bounded (README.md says how a longer run is had, and a seed again). */
import { test } from 'node:test'
import { play } from './bounded.ts'

test('whatever is changed and whatever breaks at once, nobody is let in or stays by what is over, and nobody else is cut', async (t) => {
  await play(t, {
    seed: 1,
    phases: [
      { what: 'calm', seconds: 4 },
      { what: 'storm', seconds: 22, longOutage: 'strict-1' },
      { what: 'replace', destination: 'strict' },
    ],
    wanted: {
      ...{ admissions: 20, lines: 100, cuts: 3, knocks: 40, changes: 40 },
      ...{ settled: 3, receipts: 3 },
    },
  })
})
