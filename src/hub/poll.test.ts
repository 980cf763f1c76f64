import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'drizzle-orm'
import { type World, world } from '../../test/world.ts'
import { FarEnd, linked } from './link.fixtures.ts'
import type { Access } from '../wire/access.ts'
import { Ledger } from '../wire/ledger.ts'
import type { PollQuery } from '../wire/poll.ts'

const hello: PollQuery = { instance: 'one', version: '1' }

/** A destination whose connector polls and has no link. */
async function polling(w: World) {
  const prod = await w.client.destinations.create({ name: 'prod' })
  const { connector } = w.clientOf(prod.accessKey)
  const ask = (known: Partial<PollQuery> = {}) => connector.access({ ...hello, ...known })
  const told = async (): Promise<Access> => {
    const answer = await ask()
    if (answer.kind !== 'access') throw new Error('it holds nothing, and was not told all')
    return answer.access
  }
  const enforce = ({ epoch, revision }: Access, severed = 0) =>
    connector.enforced({ instance: 'one', epoch, revision, severed })
  return { prod, connector, ask, told, enforce }
}

const knownOf = (access: Access) => {
  const { epoch, revision } = access
  return { epoch, revision, digest: new Ledger(access).digest }
}

test('a connector that holds nothing is told all, and one that holds it that it is unchanged', async (t) => {
  const w = await world(t)
  const { prod, ask, told } = await polling(w)
  const access = await told()
  assert.equal(access.destination.id, prod.id)
  await w.client.groups.create({ name: 'elsewhere' })
  const { revision } = await w.client.users.create({ email: 'bo@example.com' })
  const answer = await ask(knownOf(access))
  const { epoch } = access
  const at = w.clock.now.toISOString()
  const since = access.revision
  assert.deepEqual(answer, { kind: 'unchanged', at, epoch, revision, since })
})

test('whatever changes Access is told whole; another epoch and another setting as well', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const { ask, told } = await polling(w)
  const known = knownOf(await told())
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  assert.equal((await ask(known)).kind, 'access')
  const granted = knownOf(await told())
  assert.equal((await ask({ ...granted, epoch: 'another' })).kind, 'access')
  assert.equal((await ask({ ...granted, revision: undefined })).kind, 'access')
  assert.equal((await ask(granted)).kind, 'unchanged')
  w.settings.leaseSeconds += 60
  assert.equal((await ask(granted)).kind, 'access', 'a default that changed is no event')
})

test('a poll is for connectors: a user and a stranger learn nothing by it', async (t) => {
  const w = await world(t)
  const { prod, connector } = await polling(w)
  await assert.rejects(w.client.connector.access(hello), { code: 'forbidden' })
  await assert.rejects(w.stranger.connector.access(hello), { code: 'unauthenticated' })
  await w.client.destinations.delete(prod.id)
  await assert.rejects(connector.access(hello), { code: 'unauthenticated' })
})

test('P3: a poll that knows of lost events begins a new epoch, once; a second claim is not believed', async (t) => {
  const w = await world(t)
  const { ask, told } = await polling(w)
  const known = knownOf(await told())
  await w.db.execute(sql`delete from events where number = ${known.revision}`)
  const answer = await ask(known)
  assert.ok(answer.kind === 'access' && answer.access.epoch !== known.epoch)
  const claimed = { ...knownOf(answer.access), revision: 1_000_000 }
  await assert.rejects(ask(claimed), { code: 'unavailable' })
})

test('where an acknowledgement was lost, what is held is the receipt, with all that was cut', async (t) => {
  const w = await world(t)
  const { connector, ask, told } = await polling(w)
  const first = await told()
  const { epoch, revision } = first
  await connector.enforced({ instance: 'one', epoch, revision, severed: 0, severedInAll: 7 })
  const { revision: wanted } = await w.client.destinations.update({
    ...{ destination: 'prod', leaseSeconds: 60 },
  })
  const access = await told()
  await ask({ ...knownOf(access), severedInAll: 10 })
  await ask({ ...knownOf(access), severedInAll: 10 })
  const query = { destination: 'prod', revision: wanted }
  const receipt = await w.client.destinations.receipt(query)
  assert.deepEqual([receipt.enforced, receipt.connectors[0]?.severed], [true, 3])
})

test('receipts work by the poll alone, and its state says how it is heard of', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const { ask, told, enforce } = await polling(w)
  const state = async () => (await w.client.destinations.get('prod')).link
  assert.equal(await state(), 'silent')
  await enforce(await told())
  assert.equal(await state(), 'polling')
  const words = { user: ana.email, destination: 'prod', role: 'view' }
  const granted = await w.client.grants.create(words)
  await enforce(await told())
  const { revision } = await w.client.grants.revoke(granted.id)
  const query = { destination: 'prod', revision }
  const access = await told()
  assert.equal((await w.client.destinations.receipt(query)).enforced, false, 'told is not enforced')
  const waiting = w.client.destinations.receipt({ ...query, waitSeconds: 60 })
  await enforce(access, 2)
  const receipt = await waiting
  assert.equal(receipt.enforced, true)
  const [connector] = receipt.connectors
  assert.deepEqual([connector?.link, connector?.linked, connector?.severed], ['polling', false, 2])

  const other = await w.client.groups.create({ name: 'elsewhere' })
  const unchanged = { destination: 'prod', revision: other.revision }
  assert.equal((await w.client.destinations.receipt(unchanged)).enforced, false)
  await ask(knownOf(access))
  assert.equal((await w.client.destinations.receipt(unchanged)).enforced, true)
  w.clock.now = new Date(w.clock.now.getTime() + w.settings.leaseSeconds * 500 + 1)
  assert.equal(await state(), 'silent')
  assert.equal((await w.client.destinations.receipt(query)).connectors[0]?.link, 'silent')
})

test('what a poll was not told cannot be acknowledged', async (t) => {
  const w = await world(t)
  const { told, enforce } = await polling(w)
  const access = await told()
  const query = { destination: 'prod', revision: access.revision }
  await enforce({ ...access, revision: access.revision + 1000 })
  await enforce({ ...access, epoch: 'another' })
  assert.equal((await w.client.destinations.receipt(query)).enforced, false)
  await enforce(access)
  assert.equal((await w.client.destinations.receipt(query)).enforced, true)
})

test('P4: an endpoint is learnt by the poll, and another one waits for consent', async (t) => {
  const w = await world(t)
  const { ask } = await polling(w)
  await ask({ endpoint: 'prod.example.com:443' })
  assert.equal((await w.client.destinations.get('prod')).endpoint, 'prod.example.com:443')
  await ask({ endpoint: 'evil.example.com:443' })
  const { endpoint, pendingEndpoint } = await w.client.destinations.get('prod')
  assert.deepEqual([endpoint, pendingEndpoint], ['prod.example.com:443', 'evil.example.com:443'])
})

test('a link that the poll has overtaken sends Access anew, though it is what it sent last', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  const { connector } = w.clientOf(far.at.accessKey)
  const first = far.access[0] as Access
  // Between two readings of the link, the poll saw a grant that was there for a moment.
  const words = { user: ana.email, destination: 'prod', role: 'view' }
  const granted = await w.client.grants.create(words)
  const answer = await connector.access(hello)
  assert.equal(answer.kind, 'access')
  await w.client.grants.revoke(granted.id)
  await far.beat()
  const sent = far.access.length
  far.ack({ ...first, revision: (far.access.at(-1)?.revision ?? 0) + 1 })
  const again = await far.when(() => far.access[sent])
  assert.deepEqual(again.grants, [])
  await far.beat()
})

test('one instance by link and by poll is one in the receipt', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  await w.clientOf(far.at.accessKey).connector.access(hello)
  far.ack(far.access[0] as Access)
  const { revision } = far.access[0] as Access
  const { at } = far
  const query = { destination: at.name, revision }
  const { connectors } = await w.client.destinations.receipt(query)
  assert.deepEqual(
    connectors.map(({ instance, link }) => [instance, link]),
    [['one', 'linked']],
  )
  const second = new FarEnd(w.hub, at)
  second.hello('two')
  await second.beat()
  assert.equal((await w.client.destinations.receipt(query)).connectors.length, 2)
})
