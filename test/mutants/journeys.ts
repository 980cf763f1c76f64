/** Breaks in how the parts are wired: only processes that are built of them notice. */
import { breaksOf, type Mutant } from './mutant.ts'

export const ofJourneys: Mutant[] = breaksOf(
  'connector/main.ts',
  'test/journeys/revocation.test.ts',
  [
    {
      name: 'R1: who enforces Access cuts the streams of nobody',
      old: `new Enforcer(access, streams, log)`,
      new: `new Enforcer(access, new Streams(), log)`,
      build: true,
    },
    {
      name: 'P1: bindings are kept by nobody',
      old: `this.#roles.changed()`,
      new: `void this.#roles`,
      build: true,
    },
  ],
)
