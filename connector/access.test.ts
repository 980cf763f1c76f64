import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Access } from '../src/wire/access.ts'
import type { Beat } from '../src/wire/link.ts'
import { HeldAccess } from './access.ts'
import { systemClock } from './clock.ts'
import { Directory } from './directory.ts'
import { accessTo, grantOf, group, HandClock, renew, user } from './fixtures.ts'

const start = Date.parse('2026-01-01T00:00:00Z')

function beat(more: Partial<Beat> = {}): Beat {
  const at = new Date(start).toISOString()
  return { kind: 'beat', id: 1, at, epoch: 'e1', revision: 1, since: 1, ...more }
}

/** Access that is held, with a lease that begins now. */
function holding(access: Access = accessTo()): { clock: HandClock; held: HeldAccess } {
  const clock = new HandClock()
  const held = new HeldAccess(clock)
  renew(held, access, clock)
  return { clock, held }
}

test('nobody is let in before there is Access, and before a beat has renewed it', () => {
  const clock = new HandClock()
  const held = new HeldAccess(clock)
  assert.equal(held.standing('u-ana', 's').kind, 'no-lease')
  assert.equal(held.renew(beat(), clock.elapsed()), false)
  held.take(accessTo())
  assert.equal(held.standing('u-ana', 's').kind, 'no-lease')
  assert.equal(held.leaseEndsAt, null)
  assert.equal(held.now(), null)
  assert.equal(held.renew(beat(), clock.elapsed()), true)
  assert.equal(held.standing('u-ana', 's').kind, 'stands')
})

test('a user stands with a group for each grant and each of their groups that has one', () => {
  const soon = new Date(start + 60_000).toISOString()
  const later = new Date(start + 90_000).toISOString()
  const { held, clock } = holding(
    accessTo({
      users: [{ id: 'u-ana', email: 'ana@example.com', groups: ['g-ops', 'g-dev', 'g-gone'] }],
      groups: [
        { id: 'g-ops', name: 'ops' },
        { id: 'g-dev', name: 'corp/dev' },
      ],
      grants: [
        grantOf(user('u-ana'), 'view'),
        grantOf(user('u-ana'), 'view', { expiresAt: later }),
        grantOf(group('g-ops'), 'edit', { namespace: 'web', expiresAt: soon }),
        grantOf(user('u-bo'), 'admin'),
      ],
    }),
  )
  assert.deepEqual(held.standing('u-ana', 's'), {
    kind: 'stands',
    email: 'ana@example.com',
    userId: 'u-ana',
    groups: ['infra:group:ops', 'infra:namespace:web:edit', 'infra:role:view'],
    until: start + 60_000,
  })
  assert.equal(held.nextExpiry(), start + 60_000)
  clock.pass(60_000)
  const after = held.standing('u-ana', 's')
  assert.deepEqual(after.kind === 'stands' && after.groups, ['infra:role:view'])
  assert.equal(held.nextExpiry(), start + 90_000)
})

test('a user who is unknown, has no grant that stands, or whose session ended does not stand', () => {
  const expired = new Date(start).toISOString()
  const { held } = holding(
    accessTo({
      grants: [
        grantOf(user('u-ana'), 'view', { expiresAt: expired }),
        grantOf(user('u-bo'), 'edit'),
      ],
      endedSessions: ['s-ended'],
    }),
  )
  assert.equal(held.standing('u-eve', 's').kind, 'unknown-user')
  assert.equal(held.standing('u-ana', 's').kind, 'no-grant')
  assert.equal(held.standing('u-bo', 's').kind, 'stands')
  assert.equal(held.standing('u-bo', 's-ended').kind, 'ended')
})

test('R3: an older revision of the same epoch is ignored, another epoch is taken', () => {
  const { held } = holding()
  assert.equal(held.take(accessTo({ revision: 5, grants: [] })), true)
  assert.equal(held.take(accessTo({ revision: 4 })), false)
  assert.equal(held.current?.revision, 5)
  assert.equal(held.standing('u-ana', 's').kind, 'no-grant')
  assert.equal(held.take(accessTo({ revision: 5 })), true)
  assert.equal(held.take(accessTo({ epoch: 'e2', revision: 1 })), true)
  assert.equal(held.current?.epoch, 'e2')
})

test('a beat moves the revision on, so that Access from before it is old', () => {
  const { held, clock } = holding()
  assert.equal(held.renew(beat({ revision: 9 }), clock.elapsed()), true)
  assert.equal(held.current?.revision, 9)
  assert.equal(held.take(accessTo({ revision: 8 })), false)
  assert.equal(held.renew(beat({ revision: 7 }), clock.elapsed()), true)
  assert.equal(held.current?.revision, 9)
})

test('R6: a beat about Access that is not held renews nothing', () => {
  const { held, clock } = holding()
  const endsAt = held.leaseEndsAt
  clock.pass(1_000)
  assert.equal(held.renew(beat({ since: 2, revision: 2 }), clock.elapsed()), false)
  assert.equal(held.renew(beat({ epoch: 'e2' }), clock.elapsed()), false)
  assert.equal(held.renew(beat(), clock.elapsed() + 1), false)
  assert.equal(held.leaseEndsAt, endsAt)
})

test('R6: the lease counts from when the ping was sent, and ends', () => {
  const { held, clock } = holding()
  const sentAt = clock.elapsed()
  clock.pass(10_000)
  assert.equal(held.renew(beat(), sentAt), true)
  assert.equal(held.leaseEndsAt, sentAt + 360_000)
  clock.pass(349_999)
  assert.equal(held.standing('u-ana', 's').kind, 'stands')
  clock.pass(1)
  const standing = held.standing('u-ana', 's')
  assert.equal(standing.kind, 'no-lease')
  assert.equal(held.mayKeepStreams(), false)
})

test('a beat that comes late does not shorten the lease', () => {
  const { held, clock } = holding()
  const first = clock.elapsed()
  clock.pass(5_000)
  held.renew(beat(), clock.elapsed())
  held.renew(beat(), first)
  assert.equal(held.leaseEndsAt, first + 5_000 + 360_000)
})

test('a lease made shorter is shorter at once', () => {
  const { held, clock } = holding()
  clock.pass(20_000)
  held.take(accessTo({ revision: 2, leaseSeconds: 15 }))
  assert.equal(held.standing('u-ana', 's').kind, 'no-lease')
})

test('streams may be kept past the lease, and nobody is let in', () => {
  const { held, clock } = holding(accessTo({ onLeaseEnd: 'keep' }))
  clock.pass(360_000)
  assert.equal(held.standing('u-ana', 's').kind, 'no-lease')
  assert.equal(held.mayKeepStreams(), true)
  assert.equal(held.lastStanding('u-ana', 's').kind, 'stands')
})

for (const byMs of [-600_000, 31_000]) {
  test(`R6: a wall clock that jumped by ${byMs / 1000} s makes Access stale until it is renewed`, () => {
    const { held, clock } = holding()
    const sentBefore = clock.elapsed()
    clock.pass(1)
    clock.setWall(byMs)
    assert.equal(held.standing('u-ana', 's').kind, 'no-lease')
    clock.setWall(-byMs)
    assert.equal(held.standing('u-ana', 's').kind, 'no-lease', 'also when it jumps back')
    clock.pass(1)
    assert.equal(held.renew(beat(), sentBefore), false, 'how long ago was that?')
    assert.equal(held.renew(beat(), clock.elapsed()), true)
    assert.equal(held.standing('u-ana', 's').kind, 'stands')
  })
}

test('R6: a wall clock that is wrong, and stays so, changes nothing', () => {
  const clock = new HandClock()
  clock.setWall(600_000)
  const held = new HeldAccess(clock)
  held.take(accessTo())
  held.renew(beat(), clock.elapsed())
  assert.equal(held.now(), start)
  clock.setWall(5_000)
  assert.equal(held.standing('u-ana', 's').kind, 'stands', 'small corrections are daily life')
})

test('server time is the beat less half of the round trip', () => {
  const { held, clock } = holding()
  const sentAt = clock.elapsed()
  clock.pass(200)
  held.renew(beat({ at: '2026-01-01T02:00:00.000Z' }), sentAt)
  assert.equal(held.now(), Date.parse('2026-01-01T02:00:00.100Z'))
})

test('the clock of the machine goes on, and not faster than the wall', () => {
  const before = systemClock.elapsed()
  assert.ok(systemClock.elapsed() >= before)
  assert.ok(Math.abs(systemClock.wall() - Date.now()) < 1_000)
})

test('what was judged of a user stands while nothing changes, and no longer', () => {
  const soon = new Date(start + 1_000).toISOString()
  const grants = [
    grantOf(user('u-ana'), 'view'),
    grantOf(user('u-ana'), 'edit', { expiresAt: soon }),
  ]
  const directory = new Directory(accessTo({ grants, endedSessions: ['s-ended'] }))
  const groupsAt = (now: number) => {
    const standing = directory.judge('u-ana', 's', now)
    return standing.kind === 'stands' ? standing.groups : standing.kind
  }
  const both = ['infra:role:edit', 'infra:role:view']
  assert.deepEqual(groupsAt(start), both)
  assert.equal(directory.judge('u-ana', 's', start), directory.judge('u-ana', 's', start + 999))
  assert.equal(directory.judge('u-ana', 's-ended', start).kind, 'ended')
  assert.deepEqual(groupsAt(start + 1_000), ['infra:role:view'], 'the expiry is the end of it')
  assert.deepEqual(groupsAt(start), both, 'a clock that went back is believed anew')
  // She stays, and her grants go.
  const users = [{ id: 'u-ana', email: 'ana@example.com', groups: [], ended: [] }]
  directory.change({
    ...{ epoch: 'e1', since: 1, revision: 2, users, groups: [], grants: [] },
    subjects: [user('u-ana')],
  })
  assert.equal(groupsAt(start), 'no-grant')
})
