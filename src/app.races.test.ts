/** What is asked at the same instant: one of them is first, and nothing is half done. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { and, eq, isNull, sql } from 'drizzle-orm'
import { type World, world } from '../test/world.ts'
import { events, grants, users } from './db/schema.ts'
import { lockEvents } from './events.ts'
import { Failure } from './wire/failure.ts'

/** How each of several promises ended: `ok`, or the code of its failure. */
async function endsOf(asked: Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(asked)
  return settled.map((one) => {
    if (one.status === 'fulfilled') return 'ok'
    const reason: unknown = one.reason
    return reason instanceof Failure ? reason.code : String(reason)
  })
}

/** No bug of ours (500), and no database that gave up on two of us (503). */
function assertClear(ends: string[]): void {
  const usual = ['ok', 'conflict', 'not_found', 'unauthenticated', 'forbidden', 'invalid']
  assert.deepEqual(
    ends.filter((end) => !usual.includes(end)),
    [],
  )
}

/** Numbers grow by exactly one, whatever was rolled back. */
async function assertNoGaps({ db }: World): Promise<void> {
  const rows = await db.select({ number: events.number }).from(events).orderBy(events.number)
  assert.deepEqual(
    rows.map(({ number }) => number),
    rows.map((_, at) => at + 1),
  )
}

test('L12: however many administrators are demoted, disabled and removed at once, one remains', async (t) => {
  const w = await world(t)
  const isAdministrator = and(eq(users.isAdmin, true), isNull(users.disabledAt))
  const ways: ((by: World['client'], user: string) => Promise<unknown>)[] = [
    (by, user) => by.users.update({ user, admin: false }),
    (by, user) => by.users.update({ user, disabled: true }),
    (by, user) => by.users.delete(user),
    (by, user) => by.users.update({ user, admin: false, disabled: true }),
  ]
  for (let round = 0; round < 8; round += 1) {
    await w.db.update(users).set({ isAdmin: false })
    const all = await Promise.all(
      [1, 2, 3, 4].map((at) => w.user(`admin${round}.${at}@example.com`, { admin: true })),
    )
    // Each takes the next one away, each another way, and gives up themselves as well.
    const asked = all.flatMap((one, at) => {
      const way = ways[(at + round) % ways.length]
      const next = all[(at + 1) % all.length]
      return way && next ? [way(one.client, next.email), way(one.client, one.id)] : []
    })
    assert.equal(asked.length, 8)
    assertClear(await endsOf(asked))
    assert.ok((await w.db.$count(users, isAdministrator)) >= 1, `round ${round}`)
  }
  await assertNoGaps(w)
})

test('of several who make the same user, group, provider, destination or key at once, one does', async (t) => {
  const w = await world(t)
  const provider = { name: 'okta', issuer: 'https://id.example.com', clientId: 'infra' }
  const made: (() => Promise<unknown>)[] = [
    () => w.client.users.create({ email: 'ana@example.com' }),
    () => w.client.groups.create({ name: 'ops' }),
    () => w.client.providers.create(provider),
    () => w.client.destinations.create({ name: 'prod' }),
    () => w.client.keys.create({ name: 'ci' }),
  ]
  for (const make of made) {
    const ends = await endsOf(Array.from({ length: 5 }, make))
    assert.deepEqual(ends.toSorted(), ['conflict', 'conflict', 'conflict', 'conflict', 'ok'])
  }
  await assertNoGaps(w)
})

test('a grant given twice at once stands twice, and its words take both away', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  await w.client.destinations.create({ name: 'prod' })
  const words = { user: ana.email, destination: 'prod', role: 'view' }
  const made = await Promise.all([1, 2, 3].map(() => w.client.grants.create(words)))
  assert.equal(new Set(made.map(({ id }) => id)).size, 3)
  // Taken away by its words while one more is given: it went, or it came after, and is seen.
  const ends = await endsOf([
    w.client.grants.revokeByWords(words),
    w.client.grants.revokeByWords(words),
    w.client.grants.create(words),
  ])
  assertClear(ends)
  const left = await w.client.grants.list()
  assert.ok(left.length <= 1, `${left.length} are left`)
  if (left.length > 0) await w.client.grants.revokeByWords(words)
  await assert.rejects(ana.client.me.createToken({ destination: 'prod' }), { code: 'not_found' })
  await assertNoGaps(w)
})

test('what is given while its user, group or destination goes, goes with it', async (t) => {
  const w = await world(t)
  for (let round = 0; round < 6; round += 1) {
    const ana = await w.user(`ana${round}@example.com`)
    const { name: group } = await w.client.groups.create({ name: `ops${round}` })
    const { name: destination } = await w.client.destinations.create({ name: `prod${round}` })
    const role = 'view'
    const gone = [
      () => w.client.users.delete(ana.email),
      () => w.client.groups.delete(group),
      () => w.client.destinations.delete(destination),
    ][round % 3]
    assert.ok(gone)
    const asked = [
      w.client.grants.create({ user: ana.email, destination, role }),
      w.client.grants.create({ group, destination, role }),
      w.client.groups.addUser(group, ana.email),
      w.client.keys.create({ name: `key ${round}`, destination }),
      gone(),
      ana.client.keys.create({ name: `own ${round}` }),
      w.client.grants.create({ user: ana.email, destination, role, namespace: 'web' }),
      w.client.users.update({ user: ana.email, disabled: true }),
      ana.client.me.logout(),
    ]
    assertClear(await endsOf(asked))
  }
  const of = await w.db.select().from(grants)
  const known = new Set((await w.client.destinations.list()).map(({ id }) => id))
  assert.ok(of.every(({ destinationId }) => known.has(destinationId)))
  await assertNoGaps(w)
})

/**
 * Runs `first` and then `second` so that both have done all but to record it, and recording is
 * where they wait, in this order.
 */
async function beforeRecording(
  { db }: World,
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
): Promise<void> {
  if (!isShared) {
    await first()
    await second()
    return
  }
  const running: Promise<unknown>[] = []
  await db.transaction(async (tx) => {
    await lockEvents(tx)
    running.push(first())
    await waiting(tx, 1)
    running.push(second())
    await waiting(tx, 2)
  })
  await Promise.all(running)
}

/** The embedded database does one transaction after the other: there nobody is ever seen to wait. */
const isShared = process.env['INFRA_TEST_DATABASE_URL'] !== undefined

async function waiting(tx: World['db'], count: number): Promise<void> {
  const here = sql`select oid from pg_database where datname = current_database()`
  const locks = sql`pg_locks where not granted and locktype = 'advisory' and database = (${here})`
  for (let seen = 0; seen < count;) {
    const [row] = await tx
      .select({ n: sql<number>`(select count(*)::int from ${locks})` })
      .from(one)
    seen = row?.n ?? 0
  }
}

const one = sql`(select 1) one`

test('R2, R5: a grant that is given while its user or group goes is named by one of the two events', async (t) => {
  const w = await world(t)
  const role = 'view'
  const { id: elsewhere } = await w.client.destinations.create({ name: 'elsewhere' })
  const gone: Record<
    string,
    (person: { id: string; client: World['client']; session: string }) => Promise<unknown>
  > = {
    'user.disabled': ({ id }) => w.client.users.update({ user: id, disabled: true }),
    'user.deleted': ({ id }) => w.client.users.delete(id),
    'session.ended': ({ client }) => client.me.logout(),
    'key.revoked': ({ id }) => w.client.keys.revoke(`of ${id}`),
    'group.member_removed': ({ id }) => w.client.groups.removeUser(`of-${id}`, id),
  }
  for (const [kind, go] of Object.entries(gone)) {
    const person = await w.user(`${kind}@example.com`)
    const { id, email } = person
    const group = (await w.client.groups.create({ name: `of-${id}` })).name
    await w.client.groups.addUser(group, email)
    await w.client.keys.create({ name: `of ${id}`, user: email })
    await w.client.grants.create({ group, destination: 'elsewhere', role })
    const place = await w.client.destinations.create({ name: `place-${id}` })
    await beforeRecording(
      w,
      () => w.client.grants.create({ group, destination: place.name, role }),
      () => go(person),
    )
    const events = await w.client.events.list()
    const [given, went] = ['grant.created', kind].map((of) => events.findLast((e) => e.kind === of))
    assert.ok(given && went && given.number < went.number, kind)
    // What was sent for the grant may still have let them in: this event must point there as well.
    assert.deepEqual(went.destinations?.toSorted(), [elsewhere, place.id].toSorted(), kind)
  }
})

test('a session, a key and a grant that several end at once is ended, whoever was first', async (t) => {
  const w = await world(t)
  await w.client.destinations.create({ name: 'prod' })
  const ana = await w.user('ana@example.com')
  const key = await ana.client.keys.create({ name: 'ci' })
  const grant = await w.client.grants.create({ user: ana.id, destination: 'prod', role: 'view' })
  const asked = [
    ...[1, 2, 3].map(() => w.client.keys.revoke(key.id)),
    ...[1, 2, 3].map(() => w.client.grants.revoke(grant.id)),
    ...[1, 2, 3].map(() => w.client.sessions.end(ana.session)),
    ana.client.me.logout(),
    ana.client.me.createToken({ destination: 'prod' }),
  ]
  assertClear(await endsOf(asked))
  for (const credential of [ana.credential, key.accessKey]) {
    await assert.rejects(w.clientOf(credential).me.get(), { code: 'unauthenticated' })
  }
  assert.deepEqual(await w.client.grants.list(), [])
  const kinds = (await w.client.events.list()).map(({ kind }) => kind)
  for (const once of ['grant.revoked', 'key.revoked', 'session.ended']) {
    assert.equal(kinds.filter((kind) => kind === once).length, 1, once)
  }
  await assertNoGaps(w)
})
