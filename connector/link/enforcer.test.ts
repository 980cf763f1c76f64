import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldAccess } from '../access.ts'
import { accessTo } from '../fixtures.ts'
import { Enforcer } from './enforcer.ts'

test('enforcing is measured until all is severed, and what failed or was old is not', () => {
  let now = 0
  const clock = { elapsed: () => now, wall: () => Date.parse('2026-01-01T00:00:00Z') + now }
  let isBroken = false
  const recheck = () => {
    now += 12
    if (isBroken) throw new Error('a socket that cannot be destroyed')
    return 2
  }
  const enforcer = new Enforcer(new HeldAccess(clock), { recheck }, () => {}, clock)
  const measured = () => {
    const text = enforcer.seconds.text('x', '')
    const of = (part: string) => Number(new RegExp(`^x_${part} (.*)$`, 'm').exec(text)?.[1])
    return [of('count'), of('sum')]
  }
  assert.equal(enforcer.take(accessTo({ revision: 2 })), true)
  assert.deepEqual(measured(), [1, 0.012])
  assert.equal(enforcer.take(accessTo({ revision: 1 })), false)
  isBroken = true
  assert.throws(() => enforcer.take(accessTo({ revision: 3 })))
  assert.deepEqual(measured(), [1, 0.012])
})
