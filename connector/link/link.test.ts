import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FromServer } from '../../src/wire/link.ts'
import { Ledger } from '../../src/wire/ledger.ts'
import { accessAt, dealtWith, linked, sentLater, start, stream, world } from './fixtures.ts'

test('it says who it is with its key in a header, then asks at once for a beat', async (t) => {
  const { peers, state, link } = await world(t)
  const peer = await peers.next()
  const hello = await peer.said.next()
  assert.deepEqual(hello, {
    kind: 'hello',
    instance: 'i1',
    version: '1',
    epoch: null,
    revision: null,
    endpoint: 'prod.example.com:443',
  })
  assert.equal((await peer.said.next()).kind, 'ping')
  assert.deepEqual(state.keysSeen, ['Bearer k1.one'])
  assert.equal(link.state, 'linked')
})

test('an ack comes after what lost access was severed, and says how many that were', async (t) => {
  const { peer, streams } = await linked(t)
  const reader = stream(streams, ['infra:role:view'])
  const editor = stream(streams, ['infra:role:edit', 'infra:role:view'])
  peer.send({ kind: 'access', access: accessAt(2, ['view']) })
  const ack = await peer.ack()
  assert.deepEqual(ack, { kind: 'ack', epoch: 'e1', revision: 2, severed: 1, severedInAll: 1 })
  assert.deepEqual([reader.severed, editor.severed], [false, true])
})

test('an ack is not sent when severing failed', async (t) => {
  const { peer, streams } = await linked(t)
  const acks = () => peer.received.filter(({ kind }) => kind === 'ack').length
  const before = acks()
  streams.hold({ userId: 'u1', sessionId: 's1', groups: ['infra:role:edit'], sever: failing })
  peer.send({ kind: 'access', access: accessAt(2, []) })
  await peer.closed
  assert.equal(acks(), before)
})

test('an older revision is ignored and not acknowledged, a newer one is', async (t) => {
  const { peer, access } = await linked(t)
  peer.send({ kind: 'access', access: accessAt(5) })
  assert.equal((await peer.ack()).revision, 5)
  peer.send({ kind: 'access', access: accessAt(4, ['view', 'edit', 'admin']) })
  peer.send({ kind: 'access', access: accessAt(6) })
  assert.equal((await peer.ack()).revision, 6)
  assert.deepEqual(access.rolesInUse(), [{ role: 'view', namespace: null }])
})

/** Of Access of revision 1 as `linked` sends it: the user's role is another one now. */
const delta = (revision: number, role: string, since = 1): FromServer => {
  const { epoch, users, groups, grants } = accessAt(revision, [role])
  const subjects = [{ kind: 'user' as const, id: 'u1' }]
  return { kind: 'delta', delta: { epoch, since, revision, subjects, users, groups, grants } }
}

test('a delta is enforced and acknowledged: what it no longer gives is severed', async (t) => {
  const { peer, access, streams, changes } = await linked(t)
  const [views, edits] = [
    stream(streams, ['infra:role:view']),
    stream(streams, ['infra:role:edit']),
  ]
  peer.send(delta(5, 'edit'))
  assert.deepEqual(await peer.ack(), {
    kind: 'ack',
    epoch: 'e1',
    revision: 5,
    severed: 1,
    severedInAll: 1,
  })
  assert.deepEqual([views.severed, edits.severed], [true, false])
  assert.deepEqual(access.rolesInUse(), [{ role: 'edit', namespace: null }])
  assert.equal(await changes.next(), 5)
})

test('R3: a delta that is older than what is held, or said twice, brings nothing back', async (t) => {
  const { peer, access } = await linked(t)
  peer.send({ kind: 'access', access: accessAt(7, ['view']) })
  assert.equal((await peer.ack()).revision, 7)
  peer.send(delta(6, 'admin'))
  peer.send(delta(8, 'edit'))
  assert.equal((await peer.ack()).revision, 8)
  peer.send(delta(8, 'edit'))
  assert.equal((await peer.ack()).revision, 8)
  assert.deepEqual(access.rolesInUse(), [{ role: 'edit', namespace: null }])
})

test('a delta of what never came ends the link, and all begins anew', async (t) => {
  const { peer, peers, access, state } = await linked(t)
  peer.send(delta(9, 'admin', 4))
  await peer.closed
  state.now += 60_000
  const again = await peers.next()
  await again.hello()
  assert.deepEqual(access.rolesInUse()?.length, 2)
})

test('a beat about Access that is not word for word what is held renews nothing, and ends the link', async (t) => {
  const { peer, access, state } = await linked(t)
  const endsAt = access.leaseEndsAt
  for (let times = 0; times < 2; times += 1) {
    const { id } = await sentLater(peer, state, 5_000)
    peer.beat(id, 1, start + state.now, 'e1', new Ledger(accessAt(1, ['view'])).digest)
  }
  await peer.closed
  assert.equal(access.leaseEndsAt, endsAt)
})

test('another epoch is taken though its revisions begin anew', async (t) => {
  const { peer, access } = await linked(t)
  peer.send({ kind: 'access', access: accessAt(0, ['view'], 'e2') })
  assert.deepEqual(await peer.ack(), {
    kind: 'ack',
    epoch: 'e2',
    revision: 0,
    severed: 0,
    severedInAll: 0,
  })
  assert.equal(access.current?.epoch, 'e2')
})

test('Access alone lets nobody in: a beat about it does, from when its ping was sent', async (t) => {
  const { peers, access, state, changes } = await world(t)
  const peer = await peers.next()
  const first = await peer.ping()
  state.now += 500
  peer.send({ kind: 'access', access: accessAt(1) })
  await peer.ack()
  assert.equal(await changes.next(), 1)
  assert.ok(access.lapse())
  peer.beat(first.id, 1, start)
  assert.equal(await changes.next(), 1, 'a lease that runs again is told')
  assert.equal(access.lapse(), null)
  assert.equal(access.leaseEndsAt, 5_000 + 15_000)
})

test('a beat counts from its own ping, though a newer one is under way', async (t) => {
  const { peer, access, state } = await linked(t)
  const recent = await sentLater(peer, state, 5_000)
  // The first of all pings, sent at 5 s before Access was there, has had no beat so far.
  peer.beat(1, 1, start + 5_000)
  await dealtWith(peer, access)
  assert.equal(access.leaseEndsAt, 5_000 + 15_000)
  peer.beat(recent.id, 1, start + 10_000)
  await dealtWith(peer, access)
  assert.equal(access.leaseEndsAt, 10_000 + 15_000)
})

test('beats about an access that never comes renew nothing, and two of them end the link', async (t) => {
  const { peer, access, state, peers } = await linked(t)
  const before = access.leaseEndsAt
  peer.beat((await sentLater(peer, state, 5_000)).id, 2, start + 5_000)
  peer.beat((await sentLater(peer, state, 5_000)).id, 2, start + 10_000)
  await peer.closed
  assert.equal(access.leaseEndsAt, before)
  state.now += 2_000
  const again = await peers.next()
  const hello = await again.hello()
  assert.deepEqual([hello.epoch, hello.revision], ['e1', 1])
})

test('a link on which no beat comes is given up and dialled again', async (t) => {
  const { state, peers, lines, link, peer } = await linked(t)
  // Twice the pings of a lease of 15 s, answered by nobody; the socket itself is fine.
  state.now += 10_001
  await peer.closed
  assert.match(await lines.find((line): line is string => line.startsWith('link down')), /silent/)
  assert.equal(link.state, 'dialling')
  state.now += 2_000
  const again = await peers.next()
  assert.equal((await again.hello()).revision, 1)
})

test('silence is measured from the last beat', async (t) => {
  const { peer, state, link, access } = await linked(t)
  for (const round of [1, 2, 3, 4]) {
    const { id } = await sentLater(peer, state, 6_000)
    peer.beat(id, 1, start + round * 6_000)
    await dealtWith(peer, access)
    assert.equal(access.leaseEndsAt, state.now + 15_000)
    assert.equal(link.state, 'linked')
  }
})

test('what has another shape, or answers no ping, ends the link and not the connector', async (t) => {
  const { peers, state } = await world(t)
  const beat = JSON.stringify({
    kind: 'beat',
    id: 9999,
    at: '2026-01-01T00:00:00Z',
    epoch: 'e1',
    revision: 1,
    since: 1,
  })
  for (const odd of ['', 'null', '{"kind":"revoke"}', '{"kind":"access","access":{}}', beat]) {
    const peer = await peers.next()
    peer.send(odd)
    await peer.closed
    state.now += 15_000
  }
  const last = await peers.next()
  last.send({ kind: 'access', access: accessAt(1) })
  assert.equal((await last.ack()).revision, 1)
})

test('a refused key is said clearly, tried slowly, and a new one is taken from its file', async (t) => {
  const { peers, state, lines, link, looked } = await world(t)
  const first = await peers.next()
  state.status = 401
  first.close(1001)
  await first.closed
  await lines.find((line): line is string => line.includes('1001'))
  state.now += 2_000
  assert.match(await lines.find((line): line is string => line.includes('401')), /link down/)
  const dials = state.dials
  state.now += 29_000
  await looked()
  assert.equal(state.dials, dials, 'half a minute has not passed')
  assert.equal(link.state, 'dialling')
  Object.assign(state, { status: 101, key: 'k2.two', now: state.now + 1_001 })
  await peers.next()
  assert.equal(state.keysSeen.at(-1), 'Bearer k2.two')
})

test('a server that ends the key and refuses it again has nobody let in any more', async (t) => {
  const { peer, state, streams, access, lines } = await linked(t)
  const reader = stream(streams, ['infra:role:view'])
  state.status = 401
  peer.close(4401)
  await lines.find((line): line is string => line.includes('admitted no longer'))
  assert.ok(reader.severed)
  assert.equal(access.standing('u1', 's1').kind, 'unknown-user')
})

test('a key that was exchanged cuts nothing: it is tried at once', async (t) => {
  const { peer, state, streams, peers, access } = await linked(t)
  const reader = stream(streams, ['infra:role:view'])
  state.key = 'k2.two'
  peer.close(4401)
  await (await peers.next()).hello()
  assert.equal(reader.severed, false)
  assert.equal(access.standing('u1', 's1').kind, 'stands')
})

test('a refusal alone cuts nothing: the lease is what ends it', async (t) => {
  const { peer, state, streams, lines, access } = await linked(t)
  const reader = stream(streams, ['infra:role:view'])
  state.status = 403
  peer.close(1001)
  await lines.find((line): line is string => line.includes('1001'))
  state.now += 2_000
  await lines.find((line): line is string => line.includes('403'))
  assert.equal(reader.severed, false)
  assert.equal(access.standing('u1', 's1').kind, 'stands')
})

test('closing says goodbye to the server', async (t) => {
  const { peer, link } = await linked(t)
  await link.close()
  assert.equal(await peer.closed, 4000)
  assert.equal(link.state, 'dialling')
})

function failing(): never {
  throw new Error('stuck')
}

test('what is wrong in the cluster is told when it changes, and again to whom it links next', async (t) => {
  const { peer, peers, link, state, lines } = await linked(t)
  const told = async (from: typeof peer) => from.said.find((message) => message.kind === 'report')
  link.report(['there is no cluster role absent'])
  assert.deepEqual((await told(peer)).problems, ['there is no cluster role absent'])
  peer.close(1001)
  await lines.find((line): line is string => line.includes('1001'))
  state.now += 2_000
  const next = await peers.next()
  assert.deepEqual((await told(next)).problems, ['there is no cluster role absent'])
  link.report([])
  assert.deepEqual((await told(next)).problems, [])
})

test('a report that is too long for a message is cut, and not left out', async (t) => {
  const { peer, link } = await linked(t)
  link.report(Array.from({ length: 1000 }, (_, at) => `${at} ${'x'.repeat(1000)}`))
  const report = await peer.said.find((message) => message.kind === 'report')
  assert.equal(report.problems.length, 50)
  assert.ok(JSON.stringify(report).length < 64 * 1024)
})
