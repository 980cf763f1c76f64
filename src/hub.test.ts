import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { record } from './events.ts'
import { Hub } from './hub.ts'
import { closing } from './sockets.ts'
import { parseCredential } from './credential.ts'
import type { Access } from './wire/access.ts'
import type { CreatedDestination } from './wire/destinations.ts'
import { type Beat, type FromConnector, FromServer } from './wire/link.ts'

/** A connector's end of a link: what it was sent, in order, and a way to wait for more. */
class FarEnd {
  readonly sent: FromServer[] = []
  closed: number | null = null
  backlog = 0
  readonly #link: ReturnType<Hub['attach']>
  readonly #waiting = new Set<() => void>()
  #ping = 0

  constructor(hub: Hub, { id, name, accessKey }: CreatedDestination) {
    const keyId = parseCredential(accessKey)?.id ?? ''
    const actor = { kind: 'connector', destinationId: id, destinationName: name, keyId } as const
    this.#link = hub.attach(actor, {
      send: (text) => {
        this.sent.push(FromServer.parse(JSON.parse(text)))
        this.#wake()
      },
      close: (code) => {
        this.closed = code
        this.#wake()
      },
      backlog: () => this.backlog,
    })
  }

  say(message: FromConnector): void {
    this.#link.receive(JSON.stringify(message))
  }

  hello(instance = 'one', endpoint: string | null = null): void {
    const known = { epoch: null, revision: null }
    this.say({ kind: 'hello', instance, version: '1', ...known, endpoint })
  }

  ack(access: Access, severed = 0): void {
    const { epoch, revision } = access
    this.say({ kind: 'ack', epoch, revision, severed })
  }

  /** Pings, and waits for the beat: by then all that was committed before has been dealt with. */
  async beat(): Promise<Beat> {
    const id = ++this.#ping
    this.say({ kind: 'ping', id })
    return this.when(() => this.beats.find((beat) => beat.id === id))
  }

  get beats(): Beat[] {
    return this.sent.flatMap((message) => (message.kind === 'beat' ? [message] : []))
  }

  get access(): Access[] {
    return this.sent.flatMap((message) => (message.kind === 'access' ? [message.access] : []))
  }

  detach(): void {
    this.#link.detach()
  }

  raw(text: string): void {
    this.#link.receive(text)
  }

  when<T>(found: () => T | undefined | false | null): Promise<T> {
    return new Promise((resolve) => {
      const look = (): void => {
        const value = found()
        if (!value) return
        this.#waiting.delete(look)
        resolve(value)
      }
      this.#waiting.add(look)
      look()
    })
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }
}

async function linked(w: World, name: string, hub = w.hub): Promise<FarEnd & { at: CreatedDestination }> {
  const at = await w.client.destinations.create({ name })
  const far = new FarEnd(hub, at)
  far.hello()
  await far.when(() => far.access.length > 0)
  await far.beat()
  return Object.assign(far, { at })
}

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
  const { id } = await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
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
  assert.deepEqual(far.access.at(-1)?.endedSessions, [ana.session])
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

test('a change elsewhere sends nothing, but the beat says that what is held still holds', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  await w.client.destinations.create({ name: 'other' })
  const elsewhere = await w.client.grants.create({ user: ana.email, destination: 'other', role: 'view' })
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
    people.map(({ email }) => w.client.grants.create({ user: email, destination: 'prod', role: 'view' })),
  )
  await far.beat()
  const revisions = far.access.map((access) => access.revision)
  assert.deepEqual(revisions, [...new Set(revisions)].toSorted((a, b) => a - b))
  assert.equal(far.access.at(-1)?.grants.length, 20)
})

/** A store whose reads of Access are held back, after they were read, until they are let go. */
function holdingBack(store: World['store']) {
  let hold: Promise<void> | null = null
  let letGo = (): void => {}
  let tell = (): void => {}
  let reads = 0
  let selects = 0
  const db = new Proxy(store.db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'select') selects += 1
      if (name !== 'transaction') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<typeof target.transaction>) => {
        const result = await target.transaction(...args)
        if (args[1]?.accessMode === 'read only') {
          reads += 1
          tell()
          await hold
        }
        return result
      }
    },
  })
  return {
    store: { ...store, db },
    reads: () => reads,
    selects: () => selects,
    holdNext: (): Promise<void> => {
      hold = new Promise((resolve) => (letGo = resolve))
      return new Promise((resolve) => (tell = resolve))
    },
    letGo: (): void => {
      hold = null
      letGo()
    },
  }
}

test('an older revision never follows a newer one, and what happens meanwhile is one send', async (t) => {
  const w = await world(t)
  const held = holdingBack(w.store)
  const hub = new Hub(held.store, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod', hub)
  const before = held.reads()
  const isHeld = held.holdNext()
  const first = await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await isHeld
  const more = ['edit', 'admin', 'other']
  for (const role of more) await w.client.grants.create({ user: ana.email, destination: 'prod', role })
  const beat = far.beat()
  held.letGo()
  await beat
  const sent = far.access.slice(1).map(({ revision, grants }) => [revision, grants.length])
  assert.deepEqual(sent, [
    [first.revision, 1],
    [first.revision + 3, 4],
  ])
  assert.equal(held.reads() - before, 2)
})

test('R6: without its database the server answers no ping, and catches up when it is back', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  const beats = far.beats.length
  await w.db.execute(sql`alter table installation rename to lost`)
  far.say({ kind: 'ping', id: 1000 })
  // One connection: by the time that this is written, the ping has had what answer it gets.
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  assert.equal(far.beats.length, beats)
  assert.equal(far.access.length, 1)
  assert.equal(far.closed, null)
  await w.db.execute(sql`alter table lost rename to installation`)
  await far.when(() => far.access.length === 2)
  await far.beat()
  assert.ok(!far.beats.some(({ id }) => id === 1000))
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

test('S2: a reader who falls behind is dropped', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  far.backlog = 100_000_000
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  assert.equal(await far.when(() => far.closed), closing.tooSlow)
})

for (const text of ['', '{', '[]', '{"kind":"ack"}', '{"kind":"ping","id":-1}', '{"kind":"ping","id":1}']) {
  test(`S3: what is no message, or comes before hello, ends the link: ${text}`, async (t) => {
    const w = await world(t)
    const far = new FarEnd(w.hub, await w.client.destinations.create({ name: 'prod' }))
    far.raw(text)
    assert.equal(far.closed, closing.badMessage)
  })
}

test('a receipt names who enforced what, how many streams it cut, and who is still to answer', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  far.ack(far.access[0] as Access)
  const { id } = await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  far.ack(await far.when(() => far.access[1]))
  const { revision } = await w.client.grants.revoke(id)
  const query = { destination: 'prod', revision }
  const last = await far.when(() => far.access[2])
  const early = await w.client.destinations.receipt(query)
  assert.deepEqual([early.enforced, early.connectors[0]?.enforcedAt], [false, null])
  const waiting = w.client.destinations.receipt({ ...query, waitSeconds: 60 })
  far.ack(last, 3)
  const receipt = await waiting
  assert.equal(receipt.enforced, true)
  assert.deepEqual(
    receipt.connectors.map(({ instance, linked: isLinked, severed }) => [instance, isLinked, severed]),
    [['one', true, 3]],
  )
  assert.equal(receipt.connectors[0]?.enforcedAt, w.clock.now.toISOString())
})

test('a change elsewhere counts as enforced without a word from the connector', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  far.ack(far.access[0] as Access)
  const { revision } = await w.client.groups.create({ name: 'ops' })
  const receipt = await w.client.destinations.receipt({ destination: 'prod', revision, waitSeconds: 60 })
  assert.equal(receipt.enforced, true)
})

test('a connector cannot acknowledge what it was not sent', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const access = far.access[0] as Access
  far.ack({ ...access, revision: access.revision + 1000 })
  far.ack({ ...access, epoch: 'another' })
  const query = { destination: 'prod', revision: access.revision }
  assert.equal((await w.client.destinations.receipt(query)).enforced, false)
})

test('a connector that is gone is named until its lease has ended', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const { at } = await far.beat()
  far.detach()
  const { revision } = await w.client.groups.create({ name: 'ops' })
  const query = { destination: 'prod', revision }
  const [gone] = (await w.client.destinations.receipt(query)).connectors
  assert.deepEqual([gone?.instance, gone?.linked, gone?.enforcedAt], ['one', false, null])
  assert.equal(Date.parse(gone?.leaseEndsAt ?? ''), Date.parse(at) + w.settings.leaseSeconds * 1000)
  w.clock.now = new Date(w.clock.now.getTime() + w.settings.leaseSeconds * 1000)
  assert.deepEqual((await w.client.destinations.receipt(query)).connectors, [])
})

test('P4: the first endpoint that is reported takes effect, another waits for consent', async (t) => {
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  const report = async (endpoint: string): Promise<(string | null)[]> => {
    const events = (await w.client.events.list()).length
    const far = new FarEnd(w.hub, prod)
    far.hello('one', endpoint)
    await far.beat()
    await recorded(w, events)
    far.detach()
    const found = await w.client.destinations.get('prod')
    return [found.endpoint, found.pendingEndpoint]
  }
  assert.deepEqual(await report('a.example.com:6443'), ['a.example.com:6443', null])
  assert.deepEqual(await report('evil.example.com:6443'), ['a.example.com:6443', 'evil.example.com:6443'])
  await w.client.destinations.update({ destination: 'prod', endpoint: 'evil.example.com:6443' })
  assert.equal((await w.client.destinations.get('prod')).pendingEndpoint, null)
  const kinds = (await w.client.events.list()).filter(({ kind }) => kind === 'destination.updated')
  assert.deepEqual(
    kinds.map(({ actor }) => actor.kind),
    ['connector', 'connector', 'user'],
  )
})

/** Waits until more than `count` events were recorded. */
async function recorded(w: World, count: number): Promise<void> {
  while ((await w.client.events.list()).length <= count) await w.db.execute(sql`select 1`)
}

test('pings that come together share one look at the database', async (t) => {
  const w = await world(t)
  const counted = holdingBack(w.store)
  const hub = new Hub(counted.store, w.settings, () => w.clock.now)
  await hub.open()
  t.after(() => hub.close())
  const far = await linked(w, 'prod', hub)
  const before = counted.selects()
  const beats = await Promise.all(Array.from({ length: 50 }, () => far.beat()))
  assert.equal(new Set(beats.map(({ id }) => id)).size, 50)
  // A look is four queries; the first ping has one of its own, the others share the next.
  assert.equal(counted.selects() - before, 8)
})
