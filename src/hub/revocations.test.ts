import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type World, world } from '../../test/world.ts'
import { closing } from '../sockets.ts'
import { FarEnd, linked } from './link.fixtures.ts'
import type { Found } from './look.ts'
import { Receipt } from './receipt.ts'
import { Receipts } from './receipts.ts'
import { Revocations } from './revocations.ts'
import type { Access } from '../wire/access.ts'

const start = Date.parse('2026-01-01T00:00:00Z')
const at = (seconds: number): Date => new Date(start + seconds * 1000)
const event = (number: number, kind: string, seconds: number, destinations?: string[]): Found => {
  return { number, kind, at: at(seconds), destinations: new Set(destinations ?? ['prod']) }
}
const head = (revision: number) =>
  ({ epoch: 'e', revision, leaseSeconds: 60, onLeaseEnd: 'cut' }) as Access

/** One instance of `prod`, of which the server knows what it says here. */
function instance(known: number | null = null, onLeaseEnd: 'cut' | 'keep' = 'cut') {
  const revocations = new Revocations()
  let now = at(0)
  const named = { destinationId: 'prod', instance: 'one', known: { epoch: 'e', revision: known } }
  const receipt = new Receipt(
    named,
    () => now,
    () => receipt.measure(revocations),
  )
  return {
    receipt,
    revocations,
    beat: (seconds: number) => receipt.beaten(at(seconds)),
    looked: (revision: number, ...found: Found[]) => {
      revocations.looked('e', revision, found)
      receipt.measure(revocations)
    },
    sent: (revision: number) => receipt.sent({ ...head(revision), onLeaseEnd }),
    ack: (revision: number, seconds: number, severed = 0) => {
      now = at(seconds)
      receipt.acknowledged({ epoch: 'e', revision, severed })
    },
    /** What was measured: how many, and the sum of their seconds. */
    measured: () => {
      const text = revocations.seconds.text('x', '')
      const of = (part: string) => Number(new RegExp(`^x_${part} (.*)$`, 'm').exec(text)?.[1])
      return [of('count'), of('sum')]
    },
  }
}

/** Linked, and current at revision 5. */
function current(onLeaseEnd: 'cut' | 'keep' = 'cut') {
  const one = instance(null, onLeaseEnd)
  one.looked(5)
  one.sent(5)
  one.ack(5, 0)
  return one
}

test('a loss of access is measured from its event to the acknowledgement, once', () => {
  const one = current()
  one.looked(6, event(6, 'grant.revoked', 10))
  one.sent(6)
  assert.deepEqual(one.measured(), [0, 0])
  one.ack(6, 10.25, 3)
  one.ack(6, 11)
  one.looked(7, event(7, 'group.created', 12, []))
  assert.deepEqual(one.measured(), [1, 0.25])
  const { ms, severed, revision, kind } = one.receipt.lastRevoked ?? {}
  assert.deepEqual([ms, severed, revision, kind], [250, 3, 6, 'grant.revoked'])
})

test('what gives access, what concerns others and what changed nothing here is not measured', () => {
  const one = current()
  one.looked(6, event(6, 'grant.created', 10))
  one.sent(6)
  one.ack(6, 11)
  one.looked(7, event(7, 'grant.revoked', 12, ['stage']))
  one.receipt.verified(6, 7)
  one.looked(8, event(8, 'session.ended', 13))
  // Access is as it was: nothing is sent, nothing is said.
  one.receipt.verified(6, 8)
  one.looked(9, event(9, 'grant.created', 14))
  one.sent(9)
  one.ack(9, 15)
  assert.deepEqual(one.measured(), [0, 0])
})

test('a change that is acknowledged before anybody looked at its event is measured all the same', () => {
  const one = current()
  one.sent(7)
  one.ack(7, 10.5)
  assert.deepEqual(one.measured(), [0, 0])
  one.looked(7, event(6, 'user.disabled', 9.5), event(7, 'grant.revoked', 10))
  assert.deepEqual(one.measured(), [2, 1.5])
})

test('a look measures for every instance that has acknowledged before it', () => {
  const receipts = new Receipts(() => at(12))
  for (const name of ['one', 'two', 'late']) {
    const receipt = receipts.link('prod', name, { epoch: 'e', revision: 5 })
    receipt.sent(head(6))
    if (name !== 'late') receipt.acknowledged({ epoch: 'e', revision: 6, severed: 0 })
  }
  receipts.looked({ events: [event(6, 'grant.revoked', 10)], epoch: 'e', revision: 6 })
  assert.match(receipts.numbers.revocations.text('x', ''), /^x_sum 4\nx_count 2$/m)
  assert.deepEqual([receipts.numbers.revisionLag, receipts.numbers.lagSeconds], [1, 2])
})

test('whoever comes back is measured by what it knew; whoever starts knew nothing that could be lost', () => {
  for (const [known, expected] of [
    [5, [1, 20]],
    [6, [0, 0]],
    [null, [0, 0]],
  ] as const) {
    const one = instance(known)
    one.looked(6, event(6, 'grant.revoked', 10))
    one.sent(6)
    one.ack(6, 30)
    assert.deepEqual(one.measured(), expected, `knew ${known}`)
  }
})

test('an acknowledgement that was lost is made good by the digest that is polled with', () => {
  const one = current()
  one.looked(6, event(6, 'grant.revoked', 0))
  one.sent(6)
  one.looked(7, event(7, 'session.ended', 0))
  one.receipt.proved(head(7))
  assert.deepEqual(one.measured(), [1, 0])
})

test('what was cut by the end of the lease is measured up to there, and not to a late word', () => {
  for (const isBeatFirst of [false, true]) {
    const one = current()
    one.beat(0)
    one.looked(6, event(6, 'grant.revoked', 20))
    one.looked(7, event(7, 'grant.revoked', 80))
    if (isBeatFirst) one.beat(3600)
    one.sent(7)
    one.ack(7, 3601)
    // The first: 40 s until the lease of 60 s ended; by the second, nobody was let in any more.
    assert.deepEqual(one.measured(), [2, 40])
    one.beat(3602)
    one.looked(8, event(8, 'grant.revoked', 3603))
    one.sent(8)
    one.ack(8, 3605)
    assert.deepEqual(one.measured(), [3, 42])
  }
})

test('where the end of the lease keeps what is open, only the acknowledgement counts', () => {
  const one = current('keep')
  one.beat(0)
  one.looked(6, event(6, 'grant.revoked', 20))
  one.sent(6)
  one.ack(6, 3620)
  assert.deepEqual(one.measured(), [1, 3600])
})

test('a clock of another server that is ahead makes no loss of access negative', () => {
  const one = current()
  one.looked(6, event(6, 'grant.revoked', 10))
  one.sent(6)
  one.ack(6, 9)
  assert.deepEqual(one.measured(), [1, 0])
})

test('how far an instance is behind counts from the first change that it has not acknowledged', () => {
  const one = current()
  const behind = () => one.receipt.behind(one.revocations)
  assert.equal(behind(), null)
  one.looked(8, event(6, 'grant.created', 10), event(7, 'x', 11, ['stage']), event(8, 'y', 12))
  one.sent(8)
  assert.deepEqual(behind(), { revisions: 3, since: at(10) })
  one.ack(8, 13)
  assert.equal(behind(), null)
  // Revisions of two epochs do not compare.
  one.revocations.looked('another', 3, [event(3, 'database.restored', 14)])
  assert.deepEqual(one.revocations.behind('prod', 2), { revisions: 1, since: at(14) })
})

test('of changes without an end only so many are kept', () => {
  const one = current()
  const many = Array.from({ length: 5000 }, (_, n) => event(6 + n, 'grant.revoked', n))
  for (const each of many) one.looked(each.number, each)
  one.sent(5005)
  one.ack(5005, 5000)
  assert.equal(one.measured()[0], 1000)
})

/** What a metric of the server says. */
async function told(w: World, name: string): Promise<number> {
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(await w.metrics.text())?.[1])
}

test('a revocation is told with its time, and while nobody acknowledges it, for how long', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const grant = { user: ana.email, destination: 'prod', role: 'view' }
  const far = await linked(w, 'prod')
  const other = await linked(w, 'stage')
  far.ack(far.access[0] as Access)
  other.ack(other.access[0] as Access)
  const { id } = await w.client.grants.create(grant)
  far.ack(await far.when(() => far.access[1]))
  assert.equal(await told(w, 'infra_revocation_seconds_count'), 0)
  await w.client.grants.revoke(id)
  const without = await far.when(() => far.access[2])
  w.clock.now = new Date(w.clock.now.getTime() + 70_000)
  assert.equal(await told(w, 'infra_revision_lag_seconds'), 70)
  assert.ok((await told(w, 'infra_revision_lag')) > 0)
  far.ack(without, 2)
  await far.beat()
  await other.beat()
  assert.equal(await told(w, 'infra_revision_lag_seconds'), 0)
  assert.equal(await told(w, 'infra_revision_lag'), 0)
  assert.equal(await told(w, 'infra_revocation_seconds_count'), 1)
  assert.equal(await told(w, 'infra_revocation_seconds_sum'), 70)
  assert.equal(await told(w, 'infra_revocation_seconds_bucket{le="60"}'), 0)
  assert.equal(await told(w, 'infra_revocation_seconds_bucket{le="180"}'), 1)
})

test('of whoever is not heard of nobody knows how far it is behind: another server may', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  far.ack(far.access[0] as Access)
  far.detach(closing.goingAway)
  await w.client.grants.create({ user: w.admin.email, destination: 'prod', role: 'view' })
  const back = new FarEnd(w.hub, far.at)
  back.hello('two')
  await back.when(() => back.access.length > 0)
  w.clock.now = new Date(w.clock.now.getTime() + 70_000)
  assert.equal(await told(w, 'infra_revision_lag_seconds'), 0)
})
