import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'

test('a user sees who they are', async (t) => {
  const { user } = await world(t)
  const ana = await user('ana@example.com')
  const me = await ana.client.me.get()
  assert.deepEqual(me.user, { id: ana.id, email: ana.email, admin: false, groups: [] })
})

test('a group whose name holds a slash is addressed by its percent-encoded name', async (t) => {
  const { client } = await world(t)
  await assert.rejects(client.groups.delete('okta/dev'), { code: 'not_found' })
})
