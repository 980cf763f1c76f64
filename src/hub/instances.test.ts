import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type World, world } from '../../test/world.ts'
import { markHeard } from '../connectors.ts'
import { expire } from '../expiry.ts'
import { closing } from '../sockets.ts'
import { Hub } from './hub.ts'
import { linked } from './link.fixtures.ts'
import type { Access } from '../wire/access.ts'

const later = (w: World, seconds: number): void => {
  w.clock.now = new Date(w.clock.now.getTime() + seconds * 1000)
}
const shown = async (w: World) => (await w.client.destinations.get('prod')).connectors

test('a destination shows each connector with its lease, what it lacks and its last revocation', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  far.ack(far.access[0] as Access)
  await far.beat()
  const { id } = await w.client.grants.create({
    ...{ user: w.admin.email, destination: 'prod', role: 'view' },
  })
  far.ack(await far.when(() => far.access[1]))
  const changedAt = w.clock.now
  const { revision } = await w.client.grants.revoke(id)
  const without = await far.when(() => far.access[2])
  later(w, 10)
  const [slow] = await shown(w)
  assert.deepEqual(slow?.behind, { revisions: 1, since: changedAt.toISOString() })
  assert.deepEqual([slow.instance, slow.link, slow.lastRevocation], ['one', 'linked', null])
  assert.equal(slow.leaseLeftSeconds, w.settings.leaseSeconds - 10)
  far.ack(without, 4)
  const [current] = await shown(w)
  assert.deepEqual([current?.behind, current?.revision], [null, revision])
  assert.deepEqual(current?.lastRevocation, {
    ...{ revision, kind: 'grant.revoked', at: changedAt.toISOString(), ms: 10_000, severed: 4 },
  })
})

test('a connector that is gone is shown with the instant since when, until its lease has ended', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  await far.beat()
  later(w, 5)
  far.detach()
  const since = w.clock.now.toISOString()
  later(w, 5)
  const [gone] = await shown(w)
  assert.deepEqual([gone?.link, gone?.silentSince], ['silent', since])
  assert.equal(gone?.leaseLeftSeconds, w.settings.leaseSeconds - 10)
  later(w, w.settings.leaseSeconds * 2)
  assert.deepEqual(await shown(w), [])
})

test('a connector that said goodbye is shown no more', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  far.detach(closing.leaving)
  assert.deepEqual(await shown(w), [])
})

test('a connector that another server hears is shown as the database knows it', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  far.detach()
  later(w, 1)
  const destination = { id: far.at.id, name: 'prod' }
  const { leaseSeconds } = w.settings
  const heard = { instance: 'one', at: w.clock.now, leaseSeconds }
  await markHeard(w.db, [{ destination, ...heard, via: 'link' }])
  const [moved, ...none] = await shown(w)
  assert.deepEqual([moved?.link, moved?.silentSince, none], ['linked', null, []])
  const other = new Hub(w.store, w.settings, () => w.clock.now)
  const [known] = await other.instances(far.at.id)
  assert.deepEqual([known?.link, known?.revision, known?.behind], ['linked', null, null])
  const silentSince = w.clock.now.toISOString()
  later(w, leaseSeconds * 0.75)
  await expire({ ...w, clock: () => w.clock.now, listeningSince: new Date(0) })
  const [silent] = await other.instances(far.at.id)
  assert.deepEqual([silent?.link, silent?.silentSince], ['silent', silentSince])
})
