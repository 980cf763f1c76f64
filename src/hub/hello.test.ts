import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'drizzle-orm'
import { type World, world } from '../../test/world.ts'
import { FarEnd } from './link.fixtures.ts'

test('P4: the first endpoint that is reported takes effect, another waits for consent', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  const report = async (endpoint: string): Promise<(string | null)[]> => {
    const events = (await w.client.events.list()).length
    const far = new FarEnd(w.hub, prod)
    far.hello('one', endpoint)
    await far.beat()
    await recorded(w, events)
    far.detach()
    const found = await w.client.destinations.get('prod')
    return [found.endpoint, found.pendingEndpoint]
  }
  assert.deepEqual(await report('a.example.com:6443'), ['a.example.com:6443', null])
  assert.deepEqual(await report('evil.example.com:6443'), [
    'a.example.com:6443',
    'evil.example.com:6443',
  ])
  await w.client.destinations.update({ destination: 'prod', endpoint: 'evil.example.com:6443' })
  assert.equal((await w.client.destinations.get('prod')).pendingEndpoint, null)
  const kinds = (await w.client.events.list()).filter(({ kind }) => kind === 'destination.updated')
  assert.deepEqual(
    kinds.map(({ actor }) => actor.kind),
    ['connector', 'connector', 'user'],
  )
})

/** Waits until more than `count` events were recorded. */
async function recorded(w: World, count: number): Promise<void> {
  while ((await w.client.events.list()).length <= count) await w.db.execute(sql`select 1`)
}
