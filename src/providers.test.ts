import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq } from 'drizzle-orm'
import { world, type World } from '../test/world.ts'
import { grants, groups, memberships, providers, sessions } from './db/schema.ts'
import { newId } from './credential.ts'

const okta = { name: 'okta', issuer: 'https://example.okta.com', clientId: 'infra' }

const lastEvent = async ({ client }: World) => (await client.events.list()).at(-1)

/** A user who came in by a provider, and a destination where a group followed from it may view. */
async function cameIn(made: World) {
  const provider = await made.client.providers.create(okta)
  const ana = await made.user('ana@example.com')
  await made.db
    .update(sessions)
    .set({ providerId: provider.id })
    .where(eq(sessions.id, ana.session))
  const group = {
    id: newId(),
    name: 'okta/dev',
    providerId: provider.id,
    createdAt: made.clock.now,
  }
  await made.db.insert(groups).values(group)
  await made.db.insert(memberships).values({ groupId: group.id, userId: ana.id })
  const prod = await made.client.destinations.create({ name: 'prod' })
  await made.client.destinations.create({ name: 'elsewhere' })
  await made.db.insert(grants).values({
    id: newId(),
    groupId: group.id,
    destinationId: prod.id,
    role: 'view',
    createdAt: made.clock.now,
  })
  return { provider, ana, prod }
}

test('a provider is made, listed and changed, and its client secret is never given back', async (t) => {
  const made = await world(t)
  const { client, db } = made
  const created = await client.providers.create({ ...okta, clientSecret: 'hush-hush' })
  assert.equal(created.hasClientSecret, true)
  assert.deepEqual(created.trustedDomains, [])
  const edited = await client.providers.update({
    provider: 'okta',
    allowedDomains: ['example.com'],
    clientSecret: 'another-secret',
  })
  assert.deepEqual(edited.allowedDomains, ['example.com'])
  const [listed] = await client.providers.list()
  const { revision, destinations, ...shown } = edited
  assert.deepEqual(listed, shown)
  assert.equal(revision, created.revision + 1)
  assert.deepEqual(destinations, [])
  const [row] = await db.select().from(providers)
  const told = JSON.stringify([created, edited, listed, await client.events.list()])
  const sealed = row?.clientSecret ?? ''
  assert.match(sealed, /^v1\./)
  for (const secret of ['hush-hush', 'another-secret', sealed]) assert.ok(!told.includes(secret))
  assert.deepEqual((await lastEvent(made))?.detail['changed'], ['allowedDomains', 'clientSecret'])
})

test('asking for what is already so changes nothing and records nothing', async (t) => {
  const { client } = await world(t)
  const created = await client.providers.create({ ...okta, clientSecret: 'hush-hush' })
  const same = await client.providers.update({
    provider: created.id,
    clientSecret: 'hush-hush',
    allowedDomains: [],
    disabled: false,
  })
  assert.equal(same.revision, created.revision)
})

test('L6, R1: disabling a provider ends the sessions that came in by it, and no others', async (t) => {
  const made = await world(t)
  const { ana, prod } = await cameIn(made)
  await made.client.providers.update({ provider: 'okta', disabled: true })
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
  const event = await lastEvent(made)
  assert.equal(event?.kind, 'provider.disabled')
  assert.deepEqual(event.destinations, [prod.id])
  await made.client.providers.update({ provider: 'okta', disabled: false })
  assert.equal((await lastEvent(made))?.kind, 'provider.enabled')
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
})

test('R1: a deleted provider takes groups and grants along; its sessions stay listed as ended', async (t) => {
  const made = await world(t)
  const { ana, prod } = await cameIn(made)
  await made.client.providers.delete('okta')
  await assert.rejects(ana.client.me.get(), { code: 'unauthenticated' })
  assert.deepEqual((await lastEvent(made))?.destinations, [prod.id])
  assert.equal(await made.db.$count(groups), 0)
  assert.equal(await made.db.$count(grants), 0)
  const [kept] = await made.db.select().from(sessions).where(eq(sessions.id, ana.session))
  assert.deepEqual(kept?.endedAt, made.clock.now)
})

test('L1: a provider at which anybody can have an account needs a rule, and keeps it', async (t) => {
  const { client } = await world(t)
  const google = { ...okta, name: 'google', issuer: 'https://accounts.google.com' }
  const invalid = { code: 'invalid', message: /anybody can have an account/ }
  await assert.rejects(client.providers.create(google), invalid)
  await assert.rejects(
    client.providers.create({ ...google, allowedDomains: ['example.com'], vouchesForEmails: true }),
    invalid,
  )
  await client.providers.create({ ...google, allowedDomains: ['example.com'] })
  await assert.rejects(client.providers.update({ provider: 'google', allowedDomains: [] }), invalid)
  const requiredClaim = { name: 'hd', value: 'example.com' }
  await client.providers.update({ provider: 'google', allowedDomains: [], requiredClaim })
})

test('L8: an issuer is https unless it is loudly allowed, and holds no password', async (t) => {
  const { client } = await world(t)
  for (const issuer of ['http://id.example.com', 'https://ana:secret@id.example.com']) {
    await assert.rejects(client.providers.create({ ...okta, issuer }), { code: 'invalid' }, issuer)
  }
  const loud = await world(t, { settings: { insecureProviders: true } })
  await loud.client.providers.create({ ...okta, issuer: 'http://id.example.com' })
})

test('providers are the administrators’ to see and to change', async (t) => {
  const { client, stranger, user } = await world(t)
  await client.providers.create(okta)
  const ana = await user('ana@example.com')
  await assert.rejects(stranger.providers.list(), { code: 'unauthenticated' })
  await assert.rejects(ana.client.providers.list(), { code: 'forbidden' })
  await assert.rejects(ana.client.providers.create({ ...okta, name: 'x' }), { code: 'forbidden' })
})

test('an unknown provider is not found, and a name is taken once', async (t) => {
  const { client } = await world(t)
  await assert.rejects(client.providers.update({ provider: 'okta' }), { code: 'not_found' })
  await assert.rejects(client.providers.delete('okta'), { code: 'not_found' })
  await client.providers.create(okta)
  await assert.rejects(client.providers.create(okta), { code: 'conflict' })
})
