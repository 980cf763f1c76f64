import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'

test('logout ends the session at once; the event concerns where the user has access', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const prod = await client.destinations.create({ name: 'prod' })
  await client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await ana.client.me.logout()
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
  const event = (await client.events.list()).at(-1)
  assert.equal(event?.kind, 'session.ended')
  assert.deepEqual(event?.destinations, [prod.id])
})

test('a user sees and ends sessions of their own, an administrator those of everybody', async (t) => {
  const { client, user } = await world(t)
  const ana = await user('ana@example.com')
  const ben = await user('ben@example.com')
  assert.deepEqual(
    (await ana.client.sessions.list()).map(({ user }) => user),
    [ana.email],
  )
  assert.equal((await client.sessions.list()).length, 3)
  await assert.rejects(ana.client.sessions.end(ben.session), { code: 'not_found' })
  await client.sessions.end(ben.session)
  await assert.rejects(ben.client.me.get(), { code: 'unauthenticated' })
  await assert.rejects(client.sessions.end(ben.session), { code: 'not_found' })
})

test('a session ends by its lifetime, and earlier when it is idle', async (t) => {
  const { user, clock, settings } = await world(t)
  const [ana, ben] = [await user('ana@example.com'), await user('ben@example.com')]
  const begun = clock.now.getTime()
  const stepMs = settings.sessionIdleSeconds * 1000 - 1000
  for (let at = begun; at < begun + settings.sessionSeconds * 1000; at += stepMs) {
    clock.now = new Date(at)
    await ana.client.me.get()
  }
  await assert.rejects(ben.client.me.get(), { code: 'unauthenticated' }, 'idle')
  clock.now = new Date(begun + settings.sessionSeconds * 1000 + 1)
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' }, 'past its lifetime')
})
