/** A delta says what reading all of Access anew would say, whatever changed, and costs less. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Person, type World, world } from '../../test/world.ts'
import { readAccess } from '../access.ts'
import { expire } from '../expiry.ts'
import { FarEnd, linked } from './link.fixtures.ts'
import { Directory } from '../../connector/directory.ts'
import { Ledger } from '../wire/ledger.ts'

/** A small generator of numbers (mulberry32): the same seed, the same run. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Far = Awaited<ReturnType<typeof linked>>

/** What is held at the far end is what a reading of all would give, and both ends know its digest. */
async function isWhole(w: World, far: Far, what: string): Promise<void> {
  const beat = await far.beat()
  const held = far.access.at(-1)
  const there = await readAccess(w.db, far.at.id, { now: w.clock.now, settings: w.settings })
  assert.ok(held && there, what)
  assert.equal(new Ledger(held).digest, new Ledger(there).digest, what)
  assert.equal(beat.digest, new Ledger(there).digest, what)
  const [first, ...rest] = far.sent.filter((message) => message.kind !== 'beat')
  assert.ok(first?.kind === 'access')
  let directory = new Directory(first.access)
  for (const message of rest) {
    if (message.kind === 'access') directory = new Directory(message.access)
    if (message.kind === 'delta') directory.change(message.delta)
  }
  assert.equal(directory.digest, beat.digest, what)
  assert.deepEqual(
    new Set(directory.rolesInUse(0).map(({ role, namespace }) => `${role}/${namespace}`)),
    new Set(there.grants.map(({ role, namespace }) => `${role}/${namespace}`)),
    what,
  )
}

/** Things that administrators and people do; each may be refused, since it is done at random. */
function happenings(w: World, people: Person[], random: (below: number) => number) {
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T
  const person = () => pick(people)
  const group = () => pick(['ops', 'dev', 'qa'])
  const destination = () => pick(['prod', 'other'])
  const role = () => pick(['view', 'edit', 'admin'])
  const namespace = () => pick([undefined, 'web'])
  const subject = () => (random(2) === 0 ? { user: person().email } : { group: group() })
  const inAMinute = () => new Date(w.clock.now.getTime() + 60_000).toISOString()
  const words = () => ({
    ...{ destination: destination(), role: role() },
    ...(namespace() === undefined ? {} : { namespace: 'web' }),
  })
  return {
    grant: () => w.client.grants.create({ ...subject(), ...words() }),
    'grant for a minute': () =>
      w.client.grants.create({ ...subject(), ...words(), expiresAt: inAMinute() }),
    revoke: () => w.client.grants.revokeByWords({ ...subject(), ...words() }),
    join: () => w.client.groups.addUser(group(), person().email),
    leave: () => w.client.groups.removeUser(group(), person().email),
    'make a group': () => w.client.groups.create({ name: group() }),
    'remove a group': () => w.client.groups.delete(group()),
    disable: () => w.client.users.update({ user: person().email, disabled: true }),
    enable: () => w.client.users.update({ user: person().email, disabled: false }),
    'end a session': () => w.client.sessions.end(person().session),
    'a minute passes': async () => {
      w.clock.now = new Date(w.clock.now.getTime() + 61_000)
      const { store, sealer, settings, clock } = w
      await expire({ store, sealer, settings, clock: () => clock.now, listeningSince: clock.now })
    },
  }
}

for (const seed of [1, 2, 3]) {
  test(`whatever happens, what was told is what there is (seed ${seed})`, async (t) => {
    const w = await world(t)
    const random = randomOf(seed)
    const people: Person[] = []
    for (let n = 0; n < 5; n += 1) people.push(await w.user(`u${n}@example.com`))
    for (const name of ['ops', 'dev', 'qa']) await w.client.groups.create({ name })
    const ends = [await linked(w, 'prod'), await linked(w, 'other')]
    const all = happenings(w, people, random)
    // What gives comes more often than what takes, or soon there would be nothing to take.
    const { grant, join, enable } = all
    const things = [...Object.entries(all), ...Object.entries({ grant, join, enable })]
    for (let step = 0; step < 120; step += 1) {
      const [name, happen] = things[random(things.length)] ?? ['', async () => {}]
      await happen().catch(() => {})
      // Sometimes several at once, between two looks.
      if (random(3) > 0) continue
      for (const far of ends) await isWhole(w, far, `step ${step}: ${name}`)
    }
    for (const far of ends) await isWhole(w, far, 'at the end')
    const deltas = ends.flatMap((far) => far.deltas).length
    assert.ok(deltas > 10, `${deltas} deltas`)
  })
}

test('a change is told by what it changed, and not by how much there is', async (t) => {
  const w = await world(t)
  const people = await Promise.all(Array.from({ length: 50 }, (_, n) => w.user(`u${n}@a.test`)))
  const at = { destination: 'prod', role: 'view' }
  const prod = await w.client.destinations.create({ name: 'prod' })
  for (const { email } of people) await w.client.grants.create({ user: email, ...at })
  const far = new FarEnd(w.hub, prod)
  far.hello()
  await far.beat()
  await w.client.users.update({ user: people[7]?.email ?? '', disabled: true })
  await far.when(() => far.deltas.length > 0)
  const [delta] = far.deltas
  assert.deepEqual(delta?.subjects, [{ kind: 'user', id: people[7]?.id }])
  assert.deepEqual([delta?.users, delta?.grants], [[], []])
  assert.ok(JSON.stringify(delta).length < 500)
  assert.equal(far.access.at(-1)?.users.length, 49)
})

test('a user removed, and one who joins a group that is known, are deltas; a group that comes is not', async (t) => {
  const w = await world(t)
  const [ana, ben] = [await w.user('ana@example.com'), await w.user('ben@example.com')]
  const far = await linked(w, 'prod')
  await w.client.groups.create({ name: 'ops' })
  const kinds = () => far.sent.map(({ kind }) => kind).filter((kind) => kind !== 'beat')
  await w.client.grants.create({ group: 'ops', destination: 'prod', role: 'view' })
  await far.beat()
  assert.deepEqual(kinds(), ['access', 'access'])
  await w.client.groups.addUser('ops', ana.email)
  await w.client.grants.create({ user: ben.email, destination: 'prod', role: 'edit' })
  await w.client.users.delete(ben.email)
  await far.beat()
  assert.ok(
    kinds()
      .slice(2)
      .every((kind) => kind === 'delta'),
  )
  await isWhole(w, far, 'in the end')
})

test('once a day, at a time of its own, a destination is told all anew, and forgets what ended long ago', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const far = await linked(w, 'prod')
  await w.client.grants.create({ user: ana.email, destination: 'prod', role: 'view' })
  await w.client.sessions.end(ana.session)
  await far.beat()
  assert.deepEqual(far.access.at(-1)?.users[0]?.ended, [ana.session])
  const before = far.access.length
  w.clock.now = new Date(w.clock.now.getTime() + 24 * 3_600_000)
  await isWhole(w, far, 'a day later')
  assert.equal(far.access.length, before)
  w.clock.now = new Date(w.clock.now.getTime() + 4 * 24 * 3_600_000)
  // The beat that finds this out speaks of what was sent before.
  await far.beat()
  await far.when(() => far.access.length > before)
  await isWhole(w, far, 'days later')
  assert.deepEqual(far.access.at(-1)?.users[0]?.ended, [])
})
