import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'

test('a user is added with a one-time password that is shown once, and an event says who did it', async (t) => {
  const { client, admin } = await world(t)
  const made = await client.users.create({ email: 'Ana@Example.com' })
  assert.equal(made.email, 'ana@example.com')
  assert.match(made.password, /^\S{12,}$/)
  const listed = await client.users.list()
  assert.ok(!JSON.stringify(listed).includes(made.password))
  const [event] = await client.events.list({ after: made.revision - 1 })
  assert.equal(event?.kind, 'user.created')
  assert.deepEqual(event?.actor, { kind: 'user', id: admin.id, name: admin.email })
  assert.ok(!JSON.stringify(event).includes(made.password))
})

test('an e-mail names one person, however it is written', async (t) => {
  const { client } = await world(t)
  await client.users.create({ email: 'ana@example.com' })
  await assert.rejects(client.users.create({ email: 'ANA@example.com' }), { code: 'conflict' })
})

test('D6, D3: names that are reserved or cannot be a header are no e-mail', async (t) => {
  const { client } = await world(t)
  const bad = [
    'system:masters',
    'system:admin@example.com',
    'a\r\nb@c',
    'a b@c',
    'ä@example.com',
    '',
    '@',
  ]
  for (const email of bad) {
    await assert.rejects(client.users.create({ email }), { code: 'invalid' }, JSON.stringify(email))
  }
})

test('a user who is disabled loses every session, and enabling revives none', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  await ana.client.me.get()
  await client.users.update({ user: ana.email, disabled: true })
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
  await client.users.update({ user: ana.email, disabled: false })
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
})

test('what changes nothing is no event', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const before = (await client.events.list()).length
  await client.users.update({ user: ana.id, admin: false, disabled: false })
  assert.equal((await client.events.list()).length, before)
})

test('L12: the last administrator can be neither removed, nor disabled, nor demoted', async (t) => {
  const { client, admin } = await world(t)
  await assert.rejects(client.users.delete(admin.email), { code: 'conflict' })
  await assert.rejects(client.users.update({ user: admin.id, admin: false }), { code: 'conflict' })
  await assert.rejects(client.users.update({ user: admin.id, disabled: true }), {
    code: 'conflict',
  })
  await client.me.get()
})

test('L12: of two administrators who remove each other at once one remains', async (t) => {
  const { client, admin, user } = await world(t)
  const other = await user('other@example.com', { admin: true })
  const tried = await Promise.allSettled([
    client.users.delete(other.email),
    other.client.users.delete(admin.email),
  ])
  assert.equal(tried.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('a user removed takes grants, keys and sessions along; the event names the destinations', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const prod = await client.destinations.create({ name: 'prod' })
  await client.groups.create({ name: 'ops' })
  await client.groups.addUser('ops', ana.email)
  await client.grants.create({ group: 'ops', destination: 'prod', role: 'view' })
  const { revision } = await client.users.delete(ana.email)
  const [event] = await client.events.list({ after: revision - 1 })
  assert.equal(event?.kind, 'user.deleted')
  assert.deepEqual(event?.destinations, [prod.id])
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
})

test('a password reset gives a new one-time password', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const { password } = await client.users.update({ user: ana.email, resetPassword: true })
  assert.match(password ?? '', /^\S{12,}$/)
})

test('a user that does not exist is 404', async (t) => {
  const { client } = await world(t)
  await assert.rejects(client.users.delete('nobody@example.com'), { code: 'not_found' })
  await assert.rejects(client.users.update({ user: 'nobody@example.com' }), { code: 'not_found' })
})

test('P5: who is made anew under an old e-mail inherits neither grants nor groups, keys or sessions', async (t) => {
  const w = await world(t)
  const old = await w.user('ana@example.com')
  await w.client.destinations.create({ name: 'prod' })
  await w.client.groups.create({ name: 'ops' })
  await w.client.groups.addUser('ops', old.email)
  await w.client.grants.create({ user: old.email, destination: 'prod', role: 'view' })
  const { accessKey } = await old.client.keys.create({ name: 'ci' })
  await w.client.users.delete(old.email)
  const anew = await w.user('ana@example.com')
  assert.notEqual(anew.id, old.id)
  assert.deepEqual(await anew.client.me.destinations(), [])
  assert.deepEqual((await anew.client.me.get()).user.groups, [])
  assert.deepEqual(await anew.client.keys.list(), [])
  for (const credential of [old.credential, accessKey]) {
    await assert.rejects(w.clientOf(credential).me.get(), { code: 'unauthenticated' })
  }
})
