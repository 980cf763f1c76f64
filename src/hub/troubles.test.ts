import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../test/processes.ts'
import { type World, world } from '../../test/world.ts'
import { Hub } from './hub.ts'
import { FarEnd, linked } from './link.fixtures.ts'
import { Receipts } from './receipts.ts'
import { Troubles } from './troubles.ts'

const gone = 'cannot reach the API server'

const told = async (w: World) => {
  const all = await w.client.events.list()
  return all.filter(({ kind }) => /^destination\.(troubled|recovered)$/.test(kind))
}
const kinds = async (w: World) => (await told(w)).map(({ kind }) => kind.split('.')[1])

test('what is wrong in a cluster is an event when it begins, and none when a link is dialled anew', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  far.say({ kind: 'report', problems: [] })
  far.say({ kind: 'report', problems: [gone] })
  await until('it is an event', async () => (await told(w)).length > 0)
  const [troubled] = await told(w)
  assert.deepEqual(
    [troubled?.kind, troubled?.actor.kind, troubled?.destinations],
    ['destination.troubled', 'system', []],
  )
  const destination = { id: far.at.id, name: 'prod' }
  assert.deepEqual(troubled?.detail, { destination, problems: [gone] })
  // The same, said to a server that started since, by a link that was dialled since.
  await w.hub.close()
  const hub = new Hub(w.store, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  const again = new FarEnd(hub, far.at)
  again.hello()
  again.say({ kind: 'report', problems: [gone, 'and more'] })
  await again.beat()
  assert.deepEqual(await kinds(w), ['troubled'])
  again.say({ kind: 'report', problems: [] })
  await until('it is over', async () => (await told(w)).length > 1)
  assert.deepEqual((await told(w))[1]?.detail, { destination, since: w.clock.now.toISOString() })
  await hub.close()
  assert.deepEqual(await kinds(w), ['troubled', 'recovered'])
})

test('a link that is down, or has said nothing yet, is no sign that all is well again', async (t) => {
  const w = await world(t)
  const { id, name } = await w.client.destinations.create({ name: 'prod' })
  const actor = { kind: 'connector', destinationId: id, destinationName: name, keyId: '' } as const
  const receipts = new Receipts(() => w.clock.now)
  const troubles = new Troubles(w.db, () => w.clock.now, receipts, 0)
  t.after(() => troubles.close())
  await troubles.open()
  const one = receipts.link(id, 'one', {})
  const say = (problems: string[], receipt = one) => {
    receipt.reported(problems)
    troubles.reported(actor)
  }
  say([gone])
  await until('it is an event', async () => (await told(w)).length === 1)

  receipts.unlink(one)
  troubles.reported(actor)
  receipts.link(id, 'one', {})
  troubles.reported(actor)
  // A replica that sees nothing wrong does not speak for the one that has not said yet.
  const other = receipts.link(id, 'other', {})
  say([], other)
  say([gone])
  say([])
  await until('it is over', async () => (await told(w)).length > 1)
  say([gone], other)
  await until('it begins anew', async () => (await told(w)).length > 2)
  // Who goes for good takes along what it alone found wrong.
  receipts.unlink(other)
  troubles.reported(actor)
  await until('it is over', async () => (await told(w)).length > 3)
  await troubles.close()
  assert.deepEqual(await kinds(w), ['troubled', 'recovered', 'troubled', 'recovered'])
})
