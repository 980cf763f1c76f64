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
