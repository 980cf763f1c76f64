/** Numbers of a connector, for tests of how they are told. */
import { Histogram } from '../src/wire/prometheus.ts'
import type { Facts } from './health.ts'

const enforcement = new Histogram([0.001, 0.01])
for (const seconds of [0.001, 0.0005, 0.5]) enforcement.observe(seconds)
/** A connector that is well, and has something to tell in every metric. */
export const well: Facts = {
  isServing: true,
  lapse: null,
  isLinked: true,
  revision: 7,
  leaseLeftSeconds: 12.4,
  streams: 3,
  connections: new Map([
    ['stranger', 6],
    ['busy', 8],
  ]),
  closed: new Map([
    ['displaced', 4],
    ['full', 0],
  ]),
  severed: 2,
  enforcement,
  isLeaseHalfOver: false,
  leaseWarnings: 1,
  polls: { answered: 4, failed: 1, refused: 0 },
  refused: new Map([[401, 5]]),
  ended: new Map([
    ['answered', 9],
    ['severed', 2],
  ]),
  carried: { up: 10, down: 20 },
  problems: 1,
}
