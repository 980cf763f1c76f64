import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'

test('a user makes a key of their own, works by it, and revokes it', async (t) => {
  const { user, clientOf } = await world(t)
  const ana = await user('ana@example.com')
  const { accessKey, id } = await ana.client.keys.create({ name: 'laptop' })
  const byKey = clientOf(accessKey)
  assert.equal((await byKey.me.get()).user.email, ana.email)
  assert.equal((await byKey.me.get()).session, null)
  await assert.rejects(byKey.me.logout(), { code: 'invalid' })
  await ana.client.keys.revoke('laptop')
  await assert.rejects(byKey.me.get(), { code: 'unauthenticated' })
  await assert.rejects(ana.client.keys.revoke(id), { code: 'not_found' })
  await ana.client.keys.create({ name: 'laptop' })
})

test('keys of others are neither made, nor seen, nor revoked by a user', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const ben = await user('ben@example.com')
  await client.destinations.create({ name: 'prod' })
  await ben.client.keys.create({ name: 'of ben' })
  await assert.rejects(ana.client.keys.create({ name: 'x', user: ben.email }), {
    code: 'forbidden',
  })
  await assert.rejects(ana.client.keys.create({ name: 'x', destination: 'prod' }), {
    code: 'forbidden',
  })
  await assert.rejects(ana.client.keys.revoke('of ben'), { code: 'not_found' })
  assert.deepEqual(await ana.client.keys.list(), [])
  assert.equal((await client.keys.list()).length, 2)
})

test('L6: a key dies with its user, and while its user is disabled', async (t) => {
  const { client, user, clientOf } = await world(t)
  const ana = await user('ana@example.com')
  const { accessKey } = await ana.client.keys.create({ name: 'laptop' })
  await client.users.update({ user: ana.email, disabled: true })
  await assert.rejects(clientOf(accessKey).me.get(), { code: 'unauthenticated' })
  await client.users.update({ user: ana.email, disabled: false })
  await clientOf(accessKey).me.get()
  await client.users.delete(ana.email)
  await assert.rejects(clientOf(accessKey).me.get(), { code: 'unauthenticated' })
})

test('a key is good until it expires', async (t) => {
  const { user, clientOf, clock } = await world(t)
  const ana = await user('ana@example.com')
  const expiresAt = new Date(clock.now.getTime() + 60_000).toISOString()
  const { accessKey } = await ana.client.keys.create({ name: 'short', expiresAt })
  await clientOf(accessKey).me.get()
  clock.now = new Date(clock.now.getTime() + 60_001)
  await assert.rejects(clientOf(accessKey).me.get(), { code: 'unauthenticated' })
})

test('a secret that is not the key is refused, whatever id it comes with', async (t) => {
  const { user, clientOf } = await world(t)
  const ana = await user('ana@example.com')
  const { accessKey, id } = await ana.client.keys.create({ name: 'laptop' })
  const other = `${id}.${'A'.repeat(43)}`
  for (const wrong of [other, `${accessKey}A`, accessKey.slice(0, -1), id, '', `x.${accessKey}`]) {
    await assert.rejects(clientOf(wrong).me.get(), { code: 'unauthenticated' }, wrong)
  }
})
