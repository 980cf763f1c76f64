import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldAccess } from '../access.ts'
import { LeaseWarning } from './lease-warning.ts'
import { accessAt, start } from './fixtures.ts'

test('half of a lease without a word is warned of once for each silence', (t) => {
  const state = { now: 0 }
  const clock = { elapsed: () => state.now, wall: () => start + state.now }
  const access = new HeldAccess(clock)
  const said: string[] = []
  const warning = new LeaseWarning(access, clock, (level, message) =>
    said.push(`${level} ${message}`),
  )
  t.after(() => warning.close())
  const heard = () => {
    const at = new Date(start + state.now).toISOString()
    access.renew({ at, epoch: 'e1', revision: 1, since: 1 }, state.now)
  }
  const later = (ms: number) => {
    state.now += ms
    warning.look()
  }
  warning.look()
  assert.deepEqual([warning.isHalfOver, warning.count], [false, 0], 'there is no lease yet')
  access.take(accessAt(1))
  heard()
  later(7_499)
  assert.equal(warning.isHalfOver, false)
  later(1)
  later(5_000)
  later(60_000)
  assert.deepEqual([warning.isHalfOver, warning.count], [true, 1])
  heard()
  later(0)
  assert.equal(warning.isHalfOver, false)
  later(7_500)
  assert.equal(warning.count, 2)
  const half = 'warn half of the lease is over without a word from the server'
  assert.deepEqual(said, [half, 'info the server is heard of again', half])
})
