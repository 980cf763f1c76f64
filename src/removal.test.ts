/** Every removal says where it is felt: that is where its receipt is asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'

test('every removal says which destinations it concerns, and no other', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.destinations.create({ name: 'other' })
  const ana = await w.user('ana@example.com')
  const ben = await w.user('ben@example.com')
  for (const { email } of [ana, ben]) {
    await w.client.grants.create({ user: email, destination: 'prod', role: 'view' })
  }
  for (const name of ['ops', 'dev']) {
    await w.client.groups.create({ name })
    await w.client.grants.create({ group: name, destination: 'prod', role: 'edit' })
  }
  const key = await w.client.keys.create({ name: 'ci', user: ana.email })
  const again = await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'x' })
  const changes = {
    'a group joined': () => w.client.groups.addUser('ops', ana.email),
    'a group left': () => w.client.groups.removeUser('ops', ana.email),
    'a group removed': () => w.client.groups.delete('ops'),
    'a grant': () => w.client.grants.create({ user: ana.email, destination: 'prod', role: 'y' }),
    'a grant removed': () => w.client.grants.revoke(again.id),
    'grants removed': () =>
      w.client.grants.revokeByWords({ user: ana.email, destination: 'prod', role: 'y' }),
    'a key removed': () => w.client.keys.revoke(key.id),
    'a session ended': () => w.client.sessions.end(ana.session),
    'a user disabled': () => w.client.users.update({ user: ana.email, disabled: true }),
    'a user disabled already': () => w.client.users.update({ user: ana.email, disabled: true }),
    'a user removed': () => w.client.users.delete(ana.email),
  }
  for (const [what, change] of Object.entries(changes)) {
    const { destinations, revision } = await change()
    assert.deepEqual(destinations, [prod.id], what)
    assert.ok(revision > 0, what)
  }
})
