import assert from 'node:assert/strict'
import { test } from 'node:test'
import { providers } from './db/schema.ts'
import { followGroups, usableNames } from './groups.ts'
import { type World, world } from '../test/world.ts'

test('a group is made, joined, left and removed, each with its event', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  await client.groups.create({ name: 'ops' })
  await client.groups.addUser('ops', ana.email)
  assert.deepEqual((await client.groups.list())[0]?.members, [ana.email])
  await client.groups.removeUser('ops', ana.email)
  await client.groups.delete('ops')
  const kinds = (await client.events.list()).map(({ kind }) => kind)
  assert.deepEqual(kinds.slice(-4), [
    'group.created',
    'group.member_added',
    'group.member_removed',
    'group.deleted',
  ])
})

test('a change of members concerns the destinations that the group has grants at', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const prod = await client.destinations.create({ name: 'prod' })
  await client.destinations.create({ name: 'other' })
  await client.groups.create({ name: 'ops' })
  await client.grants.create({ group: 'ops', destination: 'prod', role: 'view' })
  for (const change of [client.groups.addUser, client.groups.removeUser]) {
    const { revision } = await change('ops', ana.email)
    const [event] = await client.events.list({ after: revision - 1 })
    assert.deepEqual(event?.destinations, [prod.id])
  }
})

test('D6: a group made here is neither reserved nor named like one of a provider', async (t) => {
  const { client } = await world(t)
  for (const name of ['system:masters', 'System:Masters', 'acme/ops', 'a\nb', ' ops', 'ops ', '']) {
    await assert.rejects(client.groups.create({ name }), { code: 'invalid' }, JSON.stringify(name))
  }
  await client.groups.create({ name: 'with, a comma' })
})

test('404 for what is not there, 409 for what is there already', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  await client.groups.create({ name: 'ops' })
  await assert.rejects(client.groups.create({ name: 'ops' }), { code: 'conflict' })
  await assert.rejects(client.groups.delete('none'), { code: 'not_found' })
  await assert.rejects(client.groups.addUser('none', ana.email), { code: 'not_found' })
  await assert.rejects(client.groups.addUser('ops', 'nobody@example.com'), { code: 'not_found' })
  await assert.rejects(client.groups.removeUser('ops', ana.email), { code: 'not_found' })
  await client.groups.addUser('ops', ana.email)
  await assert.rejects(client.groups.addUser('ops', ana.email), { code: 'conflict' })
})

test('groups of a provider are followed; groups from elsewhere stay; unusable names are left out with a warning', async (t) => {
  const here = await world(t)
  const { client, user } = here
  const ana = await user('ana@example.com')
  await provider(here, 'p1', 'acme')
  await client.groups.create({ name: 'ops' })
  await client.groups.addUser('ops', ana.email)
  const names = async () => (await client.users.list()).find(({ id }) => id === ana.id)?.groups

  const first = await follow(here, ana.id, ['dev', 'system:masters', 'a\r\nb'])
  assert.equal(first.warnings.length, 2)
  assert.deepEqual(await names(), ['acme/dev', 'ops'])
  assert.deepEqual(await follow(here, ana.id, ['dev']), { warnings: [], changed: false })
  await follow(here, ana.id, ['qa'])
  assert.deepEqual(await names(), ['acme/qa', 'ops'])
  await assert.rejects(client.groups.addUser('acme/qa', ana.email), { code: 'conflict' })
})

test('P1: what a provider calls its groups cannot look like another provider or a role', () => {
  assert.deepEqual(usableNames('acme', ['role:admin']).usable, ['acme/role:admin'])
  assert.deepEqual(usableNames('acme', ['../other/ops']).usable, ['acme/../other/ops'])
})

async function provider({ db, clock }: World, id: string, name: string): Promise<void> {
  const rules = { scopes: [], allowedDomains: [], trustedDomains: [], vouchesForEmails: false }
  await db.insert(providers).values({
    ...{ id, name, ...rules, issuer: 'https://idp.example.com', clientId: 'infra' },
    ...{ groupsClaim: 'groups', anyLoopbackPort: false, loopbackHost: '127.0.0.1' },
    createdAt: clock.now,
  })
}

function follow({ db, clock }: World, userId: string, names: string[]) {
  return db.transaction((tx) =>
    followGroups(tx, {
      actor: { kind: 'system' },
      now: clock.now,
      userId,
      provider: { id: 'p1', name: 'acme' },
      names,
    }),
  )
}
