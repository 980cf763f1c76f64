import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'

test('a destination is made with the key of its connector, which is shown once', async (t) => {
  const { client } = await world(t)
  const made = await client.destinations.create({ name: 'prod' })
  assert.match(made.accessKey, /^[\w-]+\.[\w-]+$/)
  assert.ok(!JSON.stringify(await client.destinations.list()).includes(made.accessKey))
  assert.ok(!JSON.stringify(await client.events.list()).includes(made.accessKey))
  const [key] = await client.keys.list()
  assert.equal(key?.destination, 'prod')
})

test('a name is a DNS label, is taken once, and is never like an id', async (t) => {
  const { client } = await world(t)
  await client.destinations.create({ name: 'prod' })
  await assert.rejects(client.destinations.create({ name: 'prod' }), { code: 'conflict' })
  for (const name of ['a.b', 'Prod', '-a', 'a-', '', 'x'.repeat(64), 'a'.repeat(24)]) {
    await assert.rejects(client.destinations.create({ name }), { code: 'invalid' }, name)
  }
})

test('the lease is kept within its bounds', async (t) => {
  const { client } = await world(t)
  await client.destinations.create({ name: 'prod' })
  const edited = await client.destinations.update({
    ...{ destination: 'prod', leaseSeconds: 15, onLeaseEnd: 'keep' },
  })
  assert.equal(edited.leaseSeconds, 15)
  assert.equal(edited.onLeaseEnd, 'keep')
  for (const leaseSeconds of [14, 86_401, 1.5]) {
    const edit = { destination: 'prod', leaseSeconds }
    await assert.rejects(client.destinations.update(edit), { code: 'invalid' })
  }
  await assert.rejects(client.destinations.update({ destination: 'prod' }), { code: 'invalid' })
  await assert.rejects(client.destinations.update({ destination: 'none', leaseSeconds: 60 }), {
    code: 'not_found',
  })
})

test('L11: the key of one connector opens nothing but its own routes', async (t) => {
  const { client, clientOf } = await world(t)
  const { accessKey } = await client.destinations.create({ name: 'prod' })
  const connector = clientOf(accessKey)
  await assert.rejects(connector.destinations.list(), { code: 'forbidden' })
  await assert.rejects(connector.users.list(), { code: 'forbidden' })
  await assert.rejects(connector.me.get(), { code: 'forbidden' })
  await assert.rejects(connector.me.createToken({ destination: 'prod' }), { code: 'forbidden' })
})

test('a destination removed takes the key of its connector along', async (t) => {
  const { client, clientOf } = await world(t)
  const { accessKey, id } = await client.destinations.create({ name: 'prod' })
  const { revision } = await client.destinations.delete('prod')
  await assert.rejects(clientOf(accessKey).connector.certificate('x'), { code: 'unauthenticated' })
  const [event] = await client.events.list({ after: revision - 1 })
  assert.deepEqual(event?.destinations, [id])
})
