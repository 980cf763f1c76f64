/** The judge, by values: what is no offence, and each offence once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry, Happened, Of } from './history.ts'
import { judge } from './judge.ts'
import { apply, copyOf, listsOf, nothing, startSession, type State } from './model.ts'
import { type Segment, silencesOf } from './timeline.ts'

const admin = { kind: 'user', id: 'root', name: 'root@example.com' }
const event = (number: number, kind: string, detail: Record<string, unknown>): Happened => ({
  ...{ number, kind, detail, at: '2026-01-01T00:00:00.000Z', actor: admin, destinations: null },
})
const grant = (id: string, more: object = {}) => ({
  grant: {
    ...{ id, subject: { kind: 'user', id: 'u1' }, destination: { id: 'd1' } },
    ...{ namespace: null, role: 'view', expiresAt: null, ...more },
  },
})

/** Ana has `view` at `d1` by the grant g1, and came by the session s1. */
function base(): State {
  const state = nothing()
  const happened = [
    event(1, 'user.created', { user: { id: 'u1', email: 'ana@example.com' } }),
    event(2, 'destination.created', { destination: { id: 'd1', name: 'strict' } }),
    event(3, 'destination.updated', { destination: { id: 'd1' }, leaseSeconds: 15 }),
    event(4, 'grant.created', grant('g1')),
  ]
  for (const each of happened) apply(state, each)
  startSession(state, 's1', 'u1', 4)
  return state
}

const stream: Of<'stream'> = {
  ...{ kind: 'stream', at: 1_100, sentAt: 1_050, id: '1', connector: 'c1', destination: 'd1' },
  ...{
    user: 'u1',
    session: 's1',
    groups: ['infra:role:view'],
    sender: { user: 'u1', session: 's1' },
  },
}
const bytes = (last: number): Entry => ({
  ...{ kind: 'bytes', at: last + 1, stream: '1', first: last, last, lines: 1 },
})
const closed = (at: number, by: 'caller' | 'connector' = 'connector'): Entry => ({
  ...{ kind: 'closed', at, stream: '1', by },
})
const op = (at: number, number: number | null, more: Partial<Of<'op'>> = {}): Entry => ({
  ...{ kind: 'op', at, endedAt: at + 10, what: 'revoke', outcome: 'acknowledged', number },
  ...{ event: 'grant.revoked', about: ['g1'], why: null, ...more },
})
const happened = (at: number, one: Happened): Entry => ({ kind: 'event', at, event: one })
const enforced = (at: number, revision: number, isExact = true): Entry => ({
  ...{ kind: 'enforced', at, connector: 'c1', revision, isExact },
})
const fault = (at: number, whom: string, what: Of<'fault'>['what'], ms = 0): Of<'fault'> => ({
  ...{ kind: 'fault', at, whom, what, ms },
})
const revoked: Entry[] = [op(2_000, 5), happened(2_020, event(5, 'grant.revoked', grant('g1')))]

function wrongIn(entries: Entry[], more: Partial<Segment> = {}): string[] {
  return judge({
    ...{ base: base(), begunAt: 1_000, carried: [], restored: 'no', wallOffset: 0 },
    ...{ serverOffsets: [], usualLeaseSeconds: 30, doubtful: new Set(), tolerance: 10 },
    ...{ entries, ...more },
  }).wrong
}

function says(entries: Entry[], wanted: RegExp, more: Partial<Segment> = {}): void {
  const wrong = wrongIn(entries, more)
  assert.equal(wrong.length, 1, wrong.join('\n'))
  assert.match(wrong[0] ?? '', wanted)
}

const settled = (at: number, state: State): Entry => ({
  ...{ kind: 'settled', at, number: state.number, lists: listsOf(state) },
})

test('a stream that ends when its grant goes is no offence, and neither is what was written before', () => {
  const all = [stream, bytes(1_900), ...revoked, bytes(2_100), enforced(2_150, 5), closed(2_140)]
  assert.deepEqual(wrongIn(all), [])
})

test('a line that was written after the connector said that the loss is enforced', () => {
  says([stream, ...revoked, enforced(2_150, 5), bytes(2_200), closed(2_300)], /^1: bytes after/)
  says(
    [stream, ...revoked, enforced(2_150, 5, false), bytes(2_200), closed(2_300)],
    /^1: bytes, though/,
  )
})

test('a line after a loss that was enforced, though it stands again by now', () => {
  const again = [
    op(3_000, 6, { event: 'grant.created', about: ['g2'] }),
    happened(3_020, event(6, 'grant.created', grant('g2'))),
  ]
  const all = [stream, ...revoked, enforced(2_150, 5), ...again, bytes(3_100), closed(3_200)]
  says(all, /^1: bytes after revision 5/)
})

test('a request that was sent after the loss was enforced, and let in', () => {
  const late = { ...stream, sentAt: 2_200, at: 2_250 }
  says([...revoked, enforced(2_150, 5), late, closed(2_260)], /^1: let in, though revision 5/)
  const sooner = { ...stream, sentAt: 2_100, at: 2_250 }
  assert.deepEqual(wrongIn([...revoked, enforced(2_150, 5), sooner, closed(2_260)]), [])
})

test('a request that came in as somebody else', () => {
  says([{ ...stream, session: 's2' }, closed(1_200, 'caller')], /^1: let in as somebody else/)
})

test('bytes later than the lease allows, though nothing was ever lost', () => {
  const down = fault(2_000, 'c1', 'down')
  assert.deepEqual(
    wrongIn([stream, enforced(1_010, 4), down, bytes(17_000), closed(30_000, 'caller')]),
    [],
  )
  const all = [stream, enforced(1_010, 4), down, bytes(21_000), closed(30_000, 'caller')]
  says(all, /^1: bytes after 19000 ms without a word/)
  const keeping = base()
  apply(keeping, event(5, 'destination.updated', { destination: { id: 'd1' }, onLeaseEnd: 'keep' }))
  assert.deepEqual(wrongIn(all, { base: keeping }), [])
})

test('a request let in after the lease, also where open streams are kept', () => {
  const keeping = base()
  apply(keeping, event(5, 'destination.updated', { destination: { id: 'd1' }, onLeaseEnd: 'keep' }))
  const late = { ...stream, sentAt: 21_000, at: 21_050 }
  says([fault(2_000, 'server', 'down'), late, closed(22_000, 'caller')], /^1: let in after/, {
    base: keeping,
  })
})

test('bytes after a grant was over by the slowest clock that the server had', () => {
  const brief = base()
  apply(brief, event(5, 'grant.revoked', grant('g1')))
  apply(brief, event(6, 'grant.created', grant('g2', { expiresAt: new Date(2_000).toISOString() })))
  const all = [enforced(1_010, 6), stream, bytes(6_000), closed(7_000)]
  says(all, /^1: bytes after what let them in was over/, { base: brief })
  const slowest = { serverOffsets: [{ at: 900, ms: -5_000 }] }
  assert.deepEqual(wrongIn(all, { base: brief, ...slowest }), [])
})

test('a stream that is cut though nothing of it was lost, unless its connector was struck', () => {
  says([stream, closed(3_000)], /^3: cut/)
  assert.deepEqual(wrongIn([stream, fault(2_900, 'c1', 'ended'), closed(3_000)]), [])
  assert.deepEqual(wrongIn([stream, fault(2_900, 'c1', 'clock', 1), closed(3_000)]), [])
  const warned: Entry = { kind: 'warned', at: 2_000, connector: 'c1', what: 'half of the lease' }
  assert.deepEqual(wrongIn([stream, warned, closed(9_000)]), [])
  says([stream, warned, closed(30_000)], /^3: cut/)
})

test('what is open when all is settled must be covered', () => {
  const after = base()
  apply(after, event(5, 'grant.revoked', grant('g1')))
  says([stream, ...revoked, settled(5_000, after)], /^2: open, though all else is settled/)
  assert.deepEqual(wrongIn([stream, settled(5_000, base())]), [])
})

test('who has access is in, and who has none is not', () => {
  const knock = (isIn: boolean): Entry => ({
    ...{ kind: 'knock', at: 6_000, connector: 'c1', destination: 'd1', user: 'u1', session: 's1' },
    ...{ isIn, told: '' },
  })
  says([settled(5_000, base()), knock(false)], /^3: locked out/)
  const after = base()
  apply(after, event(5, 'grant.revoked', grant('g1')))
  says([...revoked, settled(5_000, after), knock(true)], /^1: let in, who has no access/)
})

test('an acknowledged change has one event, its own, and no event is nobody’s', () => {
  says([op(2_000, 5)], /^4: acknowledged, and no event of its own/)
  const other = happened(2_020, event(5, 'grant.revoked', grant('g7')))
  assert.equal(wrongIn([op(2_000, 5), other]).length, 2)
  says([happened(2_020, event(5, 'grant.revoked', grant('g7')))], /^4: an event that nobody asked/)
  const lost = op(2_000, null, { outcome: 'lost' })
  assert.deepEqual(wrongIn([lost]), [])
  assert.deepEqual(wrongIn([lost, ...revoked.slice(1)]), [])
  const gap = { ...event(7, 'grant.expired', grant('g1')), actor: { ...admin, kind: 'system' } }
  says([...revoked, happened(2_030, gap)], /^4: event 6 is missing/)
})

test('the lists are what the events say', () => {
  const more = base()
  apply(more, event(5, 'grant.created', grant('g2')))
  const lists = { ...listsOf(base()) }
  says(
    [{ kind: 'settled', at: 5_000, number: 4, lists: listsOf(more) }],
    /^4: in the list of grants/,
  )
  says(
    [{ kind: 'settled', at: 5_000, number: 4, lists: { ...lists, grants: [] } }],
    /^4: not in the list of grants/,
  )
})

test('a database that went back says so once, and at no other time', () => {
  const said = (number: number) =>
    happened(2_000, {
      ...event(number, 'database.restored', {}),
      actor: { ...admin, kind: 'system' },
    })
  assert.deepEqual(wrongIn([said(5)], { restored: 'said' }), [])
  says([], /^4: 0 events of a restored database/, { restored: 'said' })
  says([said(5)], /^4: 1 events of a restored database/)
})

test('a change that is not enforced in time counts while nothing is wrong', () => {
  const receipt = (at: number, isEnforced = true): Entry => ({
    ...{ kind: 'receipt', askedAt: 2_000, at, number: 4, destination: 'd1', isEnforced },
  })
  const calm: Entry[] = [
    { kind: 'calm', at: 1_500, is: 'begun' },
    { kind: 'calm', at: 90_000, is: 'over' },
  ]
  assert.deepEqual(wrongIn([...calm, receipt(3_000)]), [])
  says([...calm, receipt(3_000, false)], /^2: a change is not enforced everywhere/)
  says([...calm, receipt(30_000)], /^2: a change is enforced after 28000 ms/)
  assert.deepEqual(wrongIn([receipt(30_000)]), [])
})

test('silence lasts while any of those it needs is down', () => {
  const faults = [
    fault(10, 'c1', 'down'),
    fault(20, 'server', 'down'),
    fault(30, 'c1', 'up'),
    fault(40, 'server', 'up'),
    fault(50, 'c2', 'down'),
    fault(60, 'database', 'down'),
  ]
  assert.deepEqual(silencesOf(faults, ['c1', 'server', 'database']), [
    { from: 10, to: 40 },
    { from: 60, to: Infinity },
  ])
})

test('a session is over with its user’s disabling, and a key is not', () => {
  const state = base()
  apply(state, event(5, 'key.created', { key: { id: 'k1', name: 'k' }, for: 'ana@example.com' }))
  const disabled = copyOf(state)
  apply(disabled, event(6, 'user.disabled', { user: { id: 'u1' } }))
  assert.ok(disabled.ended.has('s1') && !disabled.ended.has('k1') && !state.ended.has('s1'))
})
