import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Access } from '../src/wire/access.ts'
import { HeldAccess } from './access.ts'
import { systemClock } from './clock.ts'
import { Deadlines } from './deadlines.ts'
import { accessTo, grantOf, HandClock, renew, user } from './fixtures.ts'
import { Streams } from './streams.ts'

const start = Date.parse('2026-01-01T00:00:00Z')

function holding(access: Access = accessTo()) {
  const clock = new HandClock()
  const held = new HeldAccess(clock)
  renew(held, access, clock)
  const streams = new Streams()
  const severed: string[] = []
  const hold = (userId: string, ...groups: string[]) =>
    streams.hold({ userId, sessionId: 's', groups, sever: () => severed.push(userId) })
  return { clock, held, streams, severed, hold }
}

test('what still stands is not severed', () => {
  const { held, streams, severed, hold, clock } = holding()
  hold('u-ana', 'infra:role:view')
  const twice = [grantOf(user('u-ana'), 'view'), grantOf(user('u-ana'), 'view')]
  renew(held, accessTo({ grants: twice }), clock)
  assert.equal(streams.recheck(held), 0)
  renew(held, accessTo({ grants: twice.slice(1) }), clock)
  assert.equal(streams.recheck(held), 0)
  assert.deepEqual(severed, [])
  assert.equal(streams.count, 1)
})

test('a role taken away severs the stream that came in with it, though another remains', () => {
  const { held, streams, severed, hold, clock } = holding()
  hold('u-ana', 'infra:role:edit', 'infra:role:view')
  hold('u-bo', 'infra:role:edit')
  assert.equal(streams.recheck(held), 1)
  assert.deepEqual(severed, ['u-ana'])
  renew(held, accessTo({ users: [] }), clock)
  assert.equal(streams.recheck(held), 1)
  assert.deepEqual(severed, ['u-ana', 'u-bo'])
  assert.equal(streams.count, 0)
})

test('a session that ended severs its streams and not those of another of the user', () => {
  const { held, streams, clock } = holding()
  const severed: string[] = []
  for (const sessionId of ['s-1', 's-2']) {
    const sever = () => void severed.push(sessionId)
    streams.hold({ userId: 'u-ana', sessionId, groups: ['infra:role:view'], sever })
  }
  renew(held, accessTo({ endedSessions: ['s-1'] }), clock)
  assert.equal(streams.recheck(held), 1)
  assert.deepEqual(severed, ['s-1'])
})

test('a stream that names no group does not live for ever', () => {
  const { held, streams, hold } = holding()
  hold('u-ana')
  assert.equal(streams.recheck(held), 1)
})

test('a stream is counted once, and not after it has ended', () => {
  const { held, streams, severed, hold, clock } = holding()
  const releases = [hold('u-ana', 'infra:role:view'), hold('u-ana', 'infra:role:view')]
  hold('u-bo', 'infra:role:edit')
  assert.equal(streams.countOf('u-ana'), 2)
  releases[0]?.()
  releases[0]?.()
  assert.equal(streams.countOf('u-ana'), 1)
  releases[1]?.()
  assert.equal(streams.countOf('u-ana'), 0)
  renew(held, accessTo({ grants: [] }), clock)
  assert.equal(streams.recheck(held), 1)
  assert.equal(streams.recheck(held), 0)
  assert.deepEqual(severed, ['u-bo'])
})

test('R6: the end of the lease severs everything', () => {
  const { held, streams, hold, clock } = holding()
  hold('u-ana', 'infra:role:view')
  hold('u-bo', 'infra:role:edit')
  clock.pass(360_000)
  assert.equal(streams.recheck(held), 2)
})

test('streams that a destination keeps past its lease still end with their grant', () => {
  const expiresAt = new Date(start + 400_000).toISOString()
  const { held, streams, hold, clock } = holding(
    accessTo({
      onLeaseEnd: 'keep',
      grants: [grantOf(user('u-ana'), 'view', { expiresAt }), grantOf(user('u-bo'), 'edit')],
    }),
  )
  hold('u-ana', 'infra:role:view')
  hold('u-bo', 'infra:role:edit')
  clock.pass(360_000)
  assert.equal(streams.recheck(held), 0)
  clock.pass(40_000)
  assert.equal(streams.recheck(held), 1)
})

test('a grant that expires severs by the clock alone', (t) => {
  const expiresAt = new Date(start + 60_000).toISOString()
  const grants = [grantOf(user('u-ana'), 'view', { expiresAt }), grantOf(user('u-bo'), 'edit')]
  const { held, streams, severed, hold, clock } = holding(accessTo({ grants }))
  const deadlines = new Deadlines({ access: held, streams, clock })
  t.after(() => deadlines.stop())
  hold('u-ana', 'infra:role:view')
  hold('u-bo', 'infra:role:edit')
  clock.pass(59_999)
  assert.equal(deadlines.check(), 0)
  clock.pass(1)
  assert.equal(deadlines.check(), 1)
  assert.deepEqual(severed, ['u-ana'])
})

test('a beat between an expiry and its timer does not hide the expiry', (t) => {
  const expiresAt = new Date(start + 60_000).toISOString()
  const grants = [grantOf(user('u-ana'), 'view', { expiresAt })]
  const { held, streams, hold, clock } = holding(accessTo({ grants }))
  const deadlines = new Deadlines({ access: held, streams, clock })
  t.after(() => deadlines.stop())
  hold('u-ana', 'infra:role:view')
  clock.pass(60_000)
  const at = new Date(clock.wall()).toISOString()
  held.renew({ kind: 'beat', id: 2, at, epoch: 'e1', revision: 1, since: 1 }, clock.elapsed())
  assert.equal(deadlines.check(), 1)
})

test('R6: a lease that ends, and a clock that jumps, sever by the clock alone', (t) => {
  for (const happen of [
    (clock: HandClock) => clock.pass(360_000),
    (clock: HandClock) => clock.setWall(3_600_000),
  ]) {
    const { held, streams, hold, clock } = holding()
    const deadlines = new Deadlines({ access: held, streams, clock })
    t.after(() => deadlines.stop())
    hold('u-ana', 'infra:role:view')
    assert.equal(deadlines.check(), 0)
    happen(clock)
    assert.equal(deadlines.check(), 1)
  }
})

test('R6: whoever is asked before bytes pass looks at a clock that went on while nothing ran, and at no other time', (t) => {
  const { held, streams, hold, clock, severed } = holding()
  const deadlines = new Deadlines({ access: held, streams, clock })
  t.after(() => deadlines.stop())
  hold('u-ana', 'infra:role:view')
  let looks = 0
  const recheck = streams.recheck.bind(streams)
  streams.recheck = (access) => {
    looks += 1
    return recheck(access)
  }
  deadlines.catchUp()
  assert.equal(looks, 0)
  clock.pass(360_000)
  deadlines.catchUp()
  assert.deepEqual([looks, severed], [1, ['u-ana']])
})

test('deadlines are met without being asked', async (t) => {
  const held = new HeldAccess(systemClock)
  const streams = new Streams()
  const cut = Promise.withResolvers<number>()
  const onSevered = cut.resolve
  const deadlines = new Deadlines({ access: held, streams, clock: systemClock, onSevered })
  t.after(() => deadlines.stop())
  const expiresAt = new Date(Date.now() + 30).toISOString()
  renew(held, accessTo({ grants: [grantOf(user('u-ana'), 'view', { expiresAt })] }))
  streams.hold({ userId: 'u-ana', sessionId: 's', groups: ['infra:role:view'], sever: () => {} })
  // The timer lets a process end; a test must stay to see it.
  const stay = setTimeout(() => {}, 30_000)
  assert.equal(await cut.promise, 1)
  clearTimeout(stay)
})
