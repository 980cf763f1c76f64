import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../../test/world.ts'
import { linked } from './link.fixtures.ts'
import { Receipts } from './receipts.ts'
import type { Access } from '../wire/access.ts'

test('a receipt names who enforced what, how many streams it cut, and who is still to answer', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  far.ack(far.access[0] as Access)
  const { id } = await w.client.grants.create({
    user: ana.email,
    destination: 'prod',
    role: 'view',
  })
  far.ack(await far.when(() => far.access[1]))
  const { revision } = await w.client.grants.revoke(id)
  const query = { destination: 'prod', revision }
  const last = await far.when(() => far.access[2])
  const early = await w.client.destinations.receipt(query)
  assert.deepEqual([early.enforced, early.connectors[0]?.enforcedAt], [false, null])
  const waiting = w.client.destinations.receipt({ ...query, waitSeconds: 60 })
  far.ack(last, 3)
  const receipt = await waiting
  assert.equal(receipt.enforced, true)
  assert.deepEqual(
    receipt.connectors.map(({ instance, linked: isLinked, severed }) => [
      instance,
      isLinked,
      severed,
    ]),
    [['one', true, 3]],
  )
  assert.equal(receipt.connectors[0]?.enforcedAt, w.clock.now.toISOString())
})

test('what was cut is counted once, whichever acknowledgements were lost, came late or came twice', () => {
  const receipts = new Receipts(() => new Date())
  const destination = { id: 'prod', name: 'prod' }
  const lease = { leaseSeconds: 360, onLeaseEnd: 'cut' } as const
  const head = (revision: number) => {
    return { destination, epoch: 'e', revision, issuer: '', signingKeys: [], ...lease }
  }
  const receipt = receipts.polled('prod', 'one', {})
  const ack = (revision: number, severed: number, severedInAll?: number) =>
    receipts.acknowledged(receipt, { epoch: 'e', revision, severed, severedInAll })
  const counted = (revision: number) => receipt.stepFor(revision)?.severed
  for (const revision of [1, 2, 3, 4, 5, 6, 7]) {
    receipt.sent(head(revision))
    if (revision === 1) ack(1, 0, 40)
    // Two were cut, the ack is lost, and the poll says what is held. The ack comes after all.
    if (revision === 2) receipts.severed(receipt.proved(head(2), 42))
    if (revision === 2) ack(2, 2, 42)
    // Lost for good: the next word has it.
    if (revision === 4) ack(4, 1, 46)
    // By two ways, the later word first.
    if (revision === 5) ack(5, 1, 49)
    if (revision === 5) ack(5, 2, 48)
    if (revision === 6) ack(6, 2, 51)
    // A connector from before this was said.
    if (revision === 7) ack(7, 2)
  }
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(counted), [0, 2, 4, 4, 3, 2, 2])
  assert.equal(receipts.numbers.severed, 13)
  // To a server that started since, the first word is what it knows.
  const anew = new Receipts(() => new Date())
  const again = anew.polled('prod', 'one', {})
  again.sent(head(8))
  anew.acknowledged(again, { epoch: 'e', revision: 8, severed: 1, severedInAll: 52 })
  assert.equal(again.stepFor(8)?.severed, 1)
  // What was not sent cannot be acknowledged, and what it told is told again by the next.
  anew.acknowledged(again, { epoch: 'e', revision: 9, severed: 1, severedInAll: 53 })
  again.sent(head(10))
  anew.acknowledged(again, { epoch: 'e', revision: 10, severed: 0, severedInAll: 53 })
  assert.deepEqual([again.stepFor(10)?.severed, anew.numbers.receipts], [1, 2])
})

test('a change elsewhere counts as enforced without a word from the connector', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  far.ack(far.access[0] as Access)
  const { revision } = await w.client.groups.create({ name: 'ops' })
  const receipt = await w.client.destinations.receipt({
    destination: 'prod',
    revision,
    waitSeconds: 60,
  })
  assert.equal(receipt.enforced, true)
})

test('a connector cannot acknowledge what it was not sent', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const access = far.access[0] as Access
  far.ack({ ...access, revision: access.revision + 1000 })
  far.ack({ ...access, epoch: 'another' })
  const query = { destination: 'prod', revision: access.revision }
  assert.equal((await w.client.destinations.receipt(query)).enforced, false)
})

test('a connector that is gone is named until its lease has ended', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const { at } = await far.beat()
  far.detach()
  const { revision } = await w.client.groups.create({ name: 'ops' })
  const query = { destination: 'prod', revision }
  const [gone] = (await w.client.destinations.receipt(query)).connectors
  assert.deepEqual([gone?.instance, gone?.linked, gone?.enforcedAt], ['one', false, null])
  assert.equal(Date.parse(gone?.leaseEndsAt ?? ''), Date.parse(at) + w.settings.leaseSeconds * 1000)
  w.clock.now = new Date(w.clock.now.getTime() + w.settings.leaseSeconds * 1000)
  assert.deepEqual((await w.client.destinations.receipt(query)).connectors, [])
})

test('a clock that is set back makes nobody a poller who is gone: no receipt waits for them', () => {
  const clock = { now: new Date() }
  const receipts = new Receipts(() => clock.now)
  const gone = receipts.link('prod', 'one', {})
  gone.sent({
    ...{ destination: { id: 'prod', name: 'prod' }, epoch: 'e', revision: 1, issuer: 'i' },
    ...{ leaseSeconds: 15, onLeaseEnd: 'cut', signingKeys: [] },
  })
  receipts.polled('prod', 'one', {})
  clock.now = new Date(clock.now.getTime() - 100_000)
  receipts.unlink(gone)
  assert.equal(receipts.state('prod'), 'silent')
  receipts.polled('prod', 'one', {})
  assert.equal(receipts.state('prod'), 'polling')
  clock.now = new Date(clock.now.getTime() - 100_000)
  assert.equal(receipts.state('prod'), 'silent')
})

test('L11: instances that one connector invents make nobody forget those of another', async () => {
  const now = new Date()
  const receipts = new Receipts(() => now)
  const own = receipts.polled('prod', 'one', {})
  for (let at = 0; at < 5000; at += 1) receipts.polled('other', `invented ${at}`, {})
  assert.equal(receipts.find('prod', 'one'), own)
  const held = await receipts.enforced('other', 0, 0)
  assert.ok(held.length < 1000, `${held.length} are held`)
})
