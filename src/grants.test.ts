import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'

const hourMs = 3_600_000

test('a grant is given to a user or a group, and the user finds it among their destinations', async (t) => {
  const { client, user, authority, clock } = await world(t)
  const ana = await user('ana@example.com')
  const prod = await client.destinations.create({ name: 'prod' })
  await client.groups.create({ name: 'ops' })
  await client.groups.addUser('ops', ana.email)
  await client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  // They are listed in the order in which they were created.
  clock.now = new Date(clock.now.getTime() + 1)
  await client.grants.create({ group: 'ops', destination: prod.id, namespace: 'web', role: 'edit' })
  const [mine, ...others] = await ana.client.me.destinations()
  assert.equal(others.length, 0)
  assert.equal(mine?.id, prod.id)
  assert.equal(mine?.ca, authority.caPem)
  assert.deepEqual(mine?.roles, [
    { role: 'view', namespace: null, expiresAt: null },
    { role: 'edit', namespace: 'web', expiresAt: null },
  ])
})

test('O3: a grant for whom or what does not exist is 404, and changes nothing', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  await client.destinations.create({ name: 'prod' })
  const before = await client.events.list()
  const wrong = [
    { user: 'nobody@example.com', destination: 'prod', role: 'view' },
    { group: 'none', destination: 'prod', role: 'view' },
    { group: 'none/ops', destination: 'prod', role: 'view' },
    { user: ana.email, destination: 'none', role: 'view' },
  ]
  for (const grant of wrong)
    await assert.rejects(client.grants.create(grant), { code: 'not_found' })
  assert.deepEqual(await client.events.list(), before)
})

test('a grant needs exactly one subject, and names that Kubernetes could bear', async (t) => {
  const { client, user } = await world(t)
  const { email } = await user('ana@example.com')
  await client.destinations.create({ name: 'prod' })
  const wrong = [
    { destination: 'prod', role: 'view' },
    { user: email, group: 'ops', destination: 'prod', role: 'view' },
    { user: email, destination: 'prod', role: 'system:masters' },
    { user: email, destination: 'prod', role: 'a/b' },
    { user: email, destination: 'prod', role: 'a\nb' },
    { user: email, destination: 'prod', role: '' },
    { user: email, destination: 'prod', namespace: 'Not A Label', role: 'view' },
    { user: email, destination: 'prod', namespace: '', role: 'view' },
  ]
  for (const grant of wrong) {
    await assert.rejects(client.grants.create(grant), { code: 'invalid' }, JSON.stringify(grant))
  }
})

test('a grant that has expired is not listed, and one for the past is not made', async (t) => {
  const { client, user, clock } = await world(t)
  const ana = await user('ana@example.com')
  await client.destinations.create({ name: 'prod' })
  const words = { user: ana.email, destination: 'prod', role: 'view' }
  const at = (ms: number) => new Date(clock.now.getTime() + ms).toISOString()
  await assert.rejects(client.grants.create({ ...words, expiresAt: at(-1) }), { code: 'invalid' })
  await client.grants.create({ ...words, expiresAt: at(hourMs) })
  assert.equal((await ana.client.me.destinations()).length, 1)
  clock.now = new Date(clock.now.getTime() + 2 * hourMs)
  assert.equal((await ana.client.me.destinations()).length, 0)
  assert.equal((await client.grants.list()).length, 0)
})

test('the same role granted twice: by its id one is revoked, by its words all are', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const prod = await client.destinations.create({ name: 'prod' })
  const words = { user: ana.email, destination: 'prod', role: 'view' }
  const first = await client.grants.create(words)
  await client.grants.create(words)
  await client.grants.create({ ...words, namespace: 'web' })
  await client.grants.revoke(first.id)
  assert.equal((await client.grants.list()).length, 2)
  await client.grants.create(words)
  const { revoked, revision } = await client.grants.revokeByWords(words)
  assert.equal(revoked.length, 2)
  const left = await client.grants.list()
  assert.deepEqual(
    left.map(({ namespace }) => namespace),
    ['web'],
  )
  const [event] = await client.events.list({ after: revision - 1 })
  assert.equal(event?.kind, 'grant.revoked')
  assert.deepEqual(event?.destinations, [prod.id])
  await assert.rejects(client.grants.revokeByWords(words), { code: 'not_found' })
  await assert.rejects(client.grants.revoke(first.id), { code: 'not_found' })
})

test('P5: a destination made anew under an old name inherits no grant', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  await client.destinations.create({ name: 'prod' })
  await client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await client.destinations.delete('prod')
  await client.destinations.create({ name: 'prod' })
  assert.deepEqual(await ana.client.me.destinations(), [])
})
