import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'drizzle-orm'
import { until } from '../../test/processes.ts'
import { world } from '../../test/world.ts'
import { parseCredential } from '../credential.ts'
import { record } from '../events.ts'
import { Hub } from './hub.ts'
import { FarEnd, holdingBack, linked } from './link.fixtures.ts'
import { rotate } from '../signing.ts'
import { closing } from '../sockets.ts'

test('a connector is sent nothing before its hello, and then its Access', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  const far = new FarEnd(w.hub, prod)
  await w.client.groups.create({ name: 'ops' })
  assert.deepEqual(far.sent, [])
  far.hello()
  const access = await far.when(() => far.access[0])
  assert.equal(access.destination.id, prod.id)
})

test('a grant and its revocation arrive as new Access', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  const { id } = await w.client.grants.create({
    user: ana.email,
    destination: 'prod',
    role: 'view',
  })
  await far.when(() => far.access.at(-1)?.grants.length === 1)
  const { revision } = await w.client.grants.revoke(id)
  const last = await far.when(() => far.access.find((access) => access.revision >= revision))
  assert.deepEqual(last.grants, [])
})

test('R5: each way to lose access arrives', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  await w.client.groups.create({ name: 'ops' })
  await w.client.grants.create({ group: 'ops', destination: 'prod', role: 'view' })
  const users = async (): Promise<number> => {
    await far.beat()
    return far.access.at(-1)?.users.length ?? -1
  }
  assert.equal(await users(), 0)
  await w.client.groups.addUser('ops', ana.email)
  assert.equal(await users(), 1)
  await w.client.groups.removeUser('ops', ana.email)
  assert.equal(await users(), 0)
  await w.client.groups.addUser('ops', ana.email)
  await ana.client.me.logout()
  assert.equal(await users(), 1)
  assert.deepEqual(far.access.at(-1)?.users[0]?.ended, [ana.session])
  await w.client.users.update({ user: ana.email, disabled: true })
  assert.equal(await users(), 0)
  await w.client.users.update({ user: ana.email, disabled: false })
  assert.equal(await users(), 1)
  await w.client.groups.delete('ops')
  assert.equal(await users(), 0)
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  assert.equal(await users(), 1)
  await w.client.users.delete(ana.email)
  assert.equal(await users(), 0)
})

test('a new signing key reaches every connector', async (t) => {
  const w = await world(t)
  const [far, other] = [await linked(w, 'prod'), await linked(w, 'other')]
  await rotate(w.db, w.sealer, w.clock.now, w.settings)
  for (const end of [far, other]) {
    await end.beat()
    assert.deepEqual(
      end.access.map(({ signingKeys }) => signingKeys.length),
      [1, 2],
    )
  }
})

test('a change elsewhere sends nothing, but the beat says that what is held still holds', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  await w.client.destinations.create({ name: 'other' })
  const elsewhere = await w.client.grants.create({
    user: ana.email,
    destination: 'other',
    role: 'view',
  })
  const beat = await far.beat()
  assert.equal(far.access.length, 1)
  assert.equal(beat.since, far.access[0]?.revision)
  assert.equal(beat.revision, elsewhere.revision)
})

test('a change that concerns a destination but leaves its Access the same sends nothing', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  // Not through the API, which knows that an endpoint changes no Access: an event that says less.
  const happening = { kind: 'test', detail: {}, destinations: null }
  const revision = await w.db.transaction((tx) =>
    record(tx, { kind: 'system' }, w.clock.now, happening),
  )
  const beat = await far.beat()
  assert.equal(far.access.length, 1)
  assert.deepEqual([beat.revision, beat.since], [revision, far.access[0]?.revision])
})

test('many changes at once arrive in order, ending with the whole', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const people = await Promise.all(
    Array.from({ length: 20 }, (_, at) => w.user(`u${at}@example.com`)),
  )
  await Promise.all(
    people.map(({ email }) =>
      w.client.grants.create({ user: email, destination: 'prod', role: 'view' }),
    ),
  )
  await far.beat()
  const revisions = far.access.map((access) => access.revision)
  assert.deepEqual(
    revisions,
    [...new Set(revisions)].toSorted((a, b) => a - b),
  )
  assert.equal(far.access.at(-1)?.grants.length, 20)
})

test('an older revision never follows a newer one, and what happens while Access is read is told after it', async (t) => {
  const w = await world(t)
  const held = holdingBack(w.store)
  const hub = new Hub(held.store, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  const ana = await w.user('ana@example.com')
  await w.client.groups.create({ name: 'ops' })
  const far = await linked(w, 'prod', hub)
  const other = await linked(w, 'other', hub)
  const before = held.reads()
  const isHeld = held.holdNext()
  // A group that comes brings its members: all is read anew.
  const first = await w.client.grants.create({ group: 'ops', destination: 'prod', role: 'view' })
  await isHeld
  const more = ['edit', 'admin', 'other']
  for (const role of more)
    await w.client.grants.create({ user: ana.email, destination: 'prod', role })
  const beat = far.beat()
  // By then the look for this beat is over, and only the read that is held back is missing.
  await other.beat()
  held.letGo()
  await beat
  const sent = far.access.slice(1).map(({ revision, grants }) => [revision, grants.length])
  assert.deepEqual(sent[0], [first.revision, 1])
  assert.deepEqual(sent.at(-1), [first.revision + 3, 4])
  assert.equal(held.reads() - before, 1)
})

test('R6: without its database the server answers no ping, and catches up when it is back', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const held = holdingBack(w.store)
  const hub = new Hub(held.store, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  const far = await linked(w, 'prod', hub)
  const beats = far.beats.length
  await w.db.execute(sql`alter table installation rename to lost`)
  far.say({ kind: 'ping', id: 1000 })
  await until('the ping has had what answer it gets', () => held.failures() > 0)
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  assert.equal(far.beats.length, beats)
  assert.equal(far.access.length, 1)
  assert.equal(far.closed, null)
  await w.db.execute(sql`alter table lost rename to installation`)
  await far.when(() => far.access.length === 2)
  await far.beat()
  assert.ok(!far.beats.some(({ id }) => id === 1000))
})

test('R6: no ping is answered while a change is known and cannot be read', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  await w.db.execute(sql`alter table memberships rename to lost`)
  const happening = { kind: 'test', detail: {}, destinations: null }
  await w.db.transaction((tx) => record(tx, { kind: 'system' }, w.clock.now, happening))
  const before = far.beats.length
  far.say({ kind: 'ping', id: 1000 })
  for (let n = 0; n < 20; n++) await w.db.execute(sql`select 1`)
  assert.equal(far.beats.length, before)
  await w.db.execute(sql`alter table lost rename to memberships`)
  await far.beat()
})

test('another database under the same server ends the link, so that the connector begins anew', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  await w.db.execute(sql`update installation set epoch = 'another'`)
  far.say({ kind: 'ping', id: 1 })
  assert.equal(await far.when(() => far.closed), closing.goingAway)
})

test('a database that has lost events renews nothing', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const other = await linked(w, 'other')
  await w.db.execute(sql`delete from events where number > 1`)
  const before = far.beats.length
  far.say({ kind: 'ping', id: 1000 })
  other.say({ kind: 'ping', id: 1000 })
  // Whatever the looks ask for is asked between these.
  for (let n = 0; n < 20; n++) await w.db.execute(sql`select 1`)
  assert.equal(far.beats.length, before)
})

test('L11: a revoked key, and a deleted destination, end the link at once', async (t) => {
  const w = await world(t)
  const prod = await linked(w, 'prod')
  const other = await linked(w, 'other')
  await w.client.keys.revoke(parseCredential(prod.at.accessKey)?.id ?? '')
  assert.equal(await prod.when(() => prod.closed), closing.notAdmitted)
  assert.equal(other.closed, null)
  await w.client.destinations.delete('other')
  assert.equal(await other.when(() => other.closed), closing.notAdmitted)
  assert.equal(w.hub.linked(prod.at.id), 0)
})

test('a key that was revoked while its link was opening gets no Access', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.keys.revoke(parseCredential(prod.accessKey)?.id ?? '')
  const far = new FarEnd(w.hub, prod)
  far.hello()
  assert.equal(await far.when(() => far.closed), closing.notAdmitted)
  assert.deepEqual(far.sent, [])
})

test('a link that opens while the keys of others are looked at stays open', async (t) => {
  const w = await world(t)
  const other = await w.client.destinations.create({ name: 'other' })
  let attach: (() => FarEnd) | null = null
  let late: FarEnd | null = null
  const db = new Proxy(w.store.db, {
    get(target, name) {
      // Outside of transactions the hub selects keys, and nothing else.
      if (name === 'select') late ??= attach?.() ?? null
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const hub = new Hub({ ...w.store, db }, w.settings, () => w.clock.now)
  t.after(() => hub.close())
  await hub.open()
  const far = await linked(w, 'prod', hub)
  attach = () => new FarEnd(hub, other)
  await w.client.destinations.update({ destination: 'prod', leaseSeconds: 60 })
  await far.when(() => far.access.length === 2)
  const opened = late as FarEnd | null
  assert.ok(opened)
  opened.hello()
  await opened.when(() => opened.access.length > 0 || opened.closed !== null)
  assert.equal(opened.closed, null)
})

test('S2: a reader who falls behind is dropped', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  far.backlog = 100_000_000
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  assert.equal(await far.when(() => far.closed), closing.tooSlow)
})

for (const text of [
  '',
  '{',
  '[]',
  '{"kind":"ack"}',
  '{"kind":"ping","id":-1}',
  '{"kind":"ping","id":1}',
]) {
  test(`S3: what is no message, or comes before hello, ends the link: ${text}`, async (t) => {
    const w = await world(t)
    const far = new FarEnd(w.hub, await w.client.destinations.create({ name: 'prod' }))
    far.raw(text)
    assert.equal(far.closed, closing.badMessage)
  })
}

test('pings that come together share one look at the database', async (t) => {
  const w = await world(t)
  const counted = holdingBack(w.store)
  const hub = new Hub(counted.store, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  const far = await linked(w, 'prod', hub)
  const before = counted.looks()
  const beats = await Promise.all(Array.from({ length: 50 }, () => far.beat()))
  assert.equal(new Set(beats.map(({ id }) => id)).size, 50)
  assert.equal(counted.looks() - before, 1)
})

test('what a connector reports of its cluster is shown while it is linked', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const other = new FarEnd(w.hub, far.at)
  other.hello('two')
  const problems = ['there is no cluster role absent']
  far.say({ kind: 'report', problems })
  other.say({ kind: 'report', problems: [...problems, 'another'] })
  const shown = async () => (await w.client.destinations.get('prod')).problems
  assert.deepEqual(await shown(), ['there is no cluster role absent', 'another'])
  other.detach()
  assert.deepEqual(await shown(), problems)
  far.say({ kind: 'report', problems: [] })
  assert.deepEqual(await shown(), [])
})
