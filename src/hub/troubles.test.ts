import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { until } from '../../test/processes.ts'
import { type World, world } from '../../test/world.ts'
import { Hub } from './hub.ts'
import { FarEnd, linked } from './link.fixtures.ts'
import { Receipts } from './receipts.ts'
import { closing } from '../sockets.ts'
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
  const hub = await startedSince(w, t)
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
  /** To a server that has started since, so that it goes by what was recorded. */
  const heard = async () => {
    const troubles = new Troubles(w.db, () => w.clock.now, receipts)
    await troubles.open()
    troubles.reported(actor)
    await troubles.close()
    return kinds(w)
  }
  const one = receipts.link(id, 'one', {})
  one.reported([gone])
  assert.deepEqual(await heard(), ['troubled'])
  receipts.unlink(one)
  assert.deepEqual(await heard(), ['troubled'])
  receipts.link(id, 'one', {})
  assert.deepEqual(await heard(), ['troubled'])
  // A replica that sees nothing wrong does not speak for the one that has not said yet.
  const other = receipts.link(id, 'other', {})
  other.reported([])
  assert.deepEqual(await heard(), ['troubled'])
  one.reported([gone])
  assert.deepEqual(await heard(), ['troubled'])
  one.reported([])
  assert.deepEqual(await heard(), ['troubled', 'recovered'])
  assert.deepEqual(await heard(), ['troubled', 'recovered'])
})

test('what comes and goes is an event now and then, and the last of it is always said', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const say = (problems: string[]) => far.say({ kind: 'report', problems })
  for (let round = 0; round < 50; round += 1) {
    say([gone])
    say([])
    await far.beat()
  }
  say([])
  await until('the last is said', async () => (await kinds(w)).at(-1) === 'recovered')
  assert.ok((await told(w)).length < 20, `${(await told(w)).length} events`)
})

test('who goes for good takes along what it alone found wrong', async (t) => {
  const w = await world(t)
  const first = await linked(w, 'prod')
  first.say({ kind: 'report', problems: [gone] })
  await until('it is an event', async () => (await told(w)).length > 0)
  const hub = await startedSince(w, t)
  const [one, other] = [new FarEnd(hub, first.at), new FarEnd(hub, first.at)]
  for (const [far, name] of [
    [one, 'one'],
    [other, 'other'],
  ] as const)
    far.hello(name)
  one.say({ kind: 'report', problems: [gone] })
  other.say({ kind: 'report', problems: [] })
  await other.beat()
  one.detach(closing.leaving)
  await until('it is over', async () => (await kinds(w)).at(-1) === 'recovered')
})

/** The server is started anew, on the same database. */
async function startedSince(w: World, t: TestContext): Promise<Hub> {
  await w.hub.close()
  const hub = new Hub(w.store, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  return hub
}
