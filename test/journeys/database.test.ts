/**
 * The database goes away, comes back, or comes back as it was: nothing acknowledged is lost, no
 * lease is renewed without knowledge, and whoever holds a later state takes the older one anew.
 * Each journey has a PostgreSQL of its own, whatever store the others run on.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startPostgres, type Postgres } from '../postgres.ts'
import { productCommand, run, until } from '../processes.ts'
import { startProxy } from '../proxy.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import { clean } from './person.ts'
import { journey, type World } from './world.ts'

type Event = { number: number; kind: string; detail: Record<string, unknown> }

async function postgresOf(t: TestContext): Promise<Postgres> {
  const postgres = await startPostgres()
  t.after(() => postgres.end())
  return postgres
}

/** Users, added one after the other until `enough`; those that the server acknowledged. */
function underLoad(t: TestContext, world: World) {
  const acknowledged: string[] = []
  const refused: { status: number; text: string }[] = []
  const ending = new AbortController()
  const adding = (async () => {
    for (let n = 1; !ending.signal.aborted; n += 1) {
      const email = `user${n}@example.com`
      const response = await world.api('POST', '/api/users', { email }).catch(() => null)
      if (response?.ok) acknowledged.push(email)
      else if (response) refused.push({ status: response.status, text: await response.text() })
      else await pause(20)
    }
  })()
  // A test that fails ends it, too: its process would work on for ever.
  t.after(() => ending.abort())
  const enough = async (): Promise<void> => {
    ending.abort()
    await adding
  }
  return { acknowledged, refused, enough }
}

/** Everybody who was acknowledged is there, with an event each; event numbers have no gap. */
async function nothingIsLost(world: World, acknowledged: string[]): Promise<void> {
  const users = await world.admin.json<{ email: string }[]>(['users', 'list'])
  const there = new Set(users.map(({ email }) => email))
  assert.deepEqual(
    acknowledged.filter((email) => !there.has(email)),
    [],
  )
  const events: Event[] = []
  for (;;) {
    const after = events.at(-1)?.number ?? 0
    const response = await world.api('GET', `/api/events?after=${after}&limit=1000`)
    const more = (await response.json()) as Event[]
    if (more.length === 0) break
    events.push(...more)
  }
  assert.deepEqual(
    events.map(({ number }) => number),
    events.map((_, index) => index + 1),
    'event numbers have no gap',
  )
  const created = new Set(
    events.flatMap(({ kind, detail }) =>
      kind === 'user.created' ? [(detail['user'] as { email: string }).email] : [],
    ),
  )
  for (const email of acknowledged) assert.ok(created.has(email), `no event of ${email}`)
}

async function serverReadiness(world: World): Promise<number | null> {
  const response = await world.api('GET', '/readyz').catch(() => null)
  return response?.status ?? null
}

const isLinked = (world: World, name: string) =>
  until(`${name} is linked`, async () => {
    const all = await world.admin.json<{ name: string; linked: number }[]>(['destinations', 'list'])
    return all.some((one) => one.name === name && one.linked === 1)
  })

test('kill -9 of PostgreSQL, server and connector under load: nothing acknowledged is lost', async (t) => {
  const postgres = await postgresOf(t)
  const world = await journey(t, { env: { DATABASE_URL: postgres.url } })
  const prod = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const open = await openStreams(world, ana, { destination: 'prod', namespace: 'killed-database' })

  const load = underLoad(t, world)
  await until('it is in the middle of work', () => load.acknowledged.length >= 10)
  await postgres.kill()
  await until('a refusal', () => load.refused.length > 0)
  await goesOn(world, open)
  await postgres.start()
  const before = load.acknowledged.length
  await until('work goes on by itself', () => load.acknowledged.length >= before + 10)
  for (const { status, text } of load.refused) {
    assert.equal(status, 503, text)
    assert.match(text, /"code":"unavailable","message":"the database [a-z, ]+"/)
  }
  await world.server?.stop('SIGKILL')
  await prod.stop('SIGKILL')
  await load.enough()

  await world.startServer()
  await prod.start()
  await nothingIsLost(world, load.acknowledged)
  await ana.kubectlOk(['--context', 'infra:prod', 'get', 'pods', '--namespace', 'killed-database'])
  await world.admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait'])
  await isRefused(ana, 'prod')
})

test('the database is away for a minute: long leases bear it, short ones end, and all is back by itself', async (t) => {
  const postgres = await postgresOf(t)
  const proxy = await startProxy(postgres.port)
  t.after(() => proxy.close())
  const url = postgres.url.replace(`:${postgres.port}/`, `:${proxy.port}/`)
  const world = await journey(t, { env: { DATABASE_URL: url } })
  const { admin } = world
  await world.destination('patient')
  const strict = await world.destination('strict')
  await admin.ok(['destinations', 'edit', 'strict', '--lease', '15s'])
  const ana = await world.loggedIn('ana@example.com')
  for (const name of ['patient', 'strict']) {
    await admin.ok(['grants', 'add', ana.email, name, '--role', 'edit', '--wait'])
  }
  const kept = await openStreams(world, ana, { destination: 'patient', namespace: 'db-patient' })
  const lost = await openStreams(world, ana, { destination: 'strict', namespace: 'db-strict' })
  const load = underLoad(t, world)
  await until('it is in the middle of work', () => load.acknowledged.length >= 5)

  // Swallowed and not refused: the server is told nothing, and has to find out.
  const wentAt = Date.now()
  proxy.swallow()
  await until('the server says that it is not ready', async () => {
    return (await serverReadiness(world)) === 503
  })
  await until('callers are told', () => load.refused.length > 0)
  await areCut(world, lost)
  await until('strict is not ready', async () => (await strict.readiness()) === 503)
  const refused = await ana.kubectl(['--context', 'infra:strict', 'get', 'configmaps'])
  assert.equal(refused.code, 1)
  await goesOn(world, kept)
  await until('a minute has passed', () => Date.now() - wentAt >= 60_000)
  await goesOn(world, kept)

  const before = load.acknowledged.length
  proxy.pass()
  await until('work goes on by itself', () => load.acknowledged.length >= before + 5)
  await until('the server is ready', async () => (await serverReadiness(world)) === 200)
  for (const { status, text } of load.refused) {
    assert.equal(status, 503, text)
    assert.match(text, /"code":"unavailable","message":"the database [a-z, ]+"/)
  }
  await strict.ready()
  await load.enough()
  await nothingIsLost(world, load.acknowledged)
  const again = await openStreams(world, ana, { destination: 'strict', namespace: 'db-strict' })
  // The listener is back, too: a revocation arrives.
  await admin.ok(['grants', 'remove', ana.email, 'strict', '--role', 'edit', '--wait'])
  await areCut(world, again)
  await goesOn(world, kept)
})

for (const store of ['PostgreSQL', 'PGlite'] as const) {
  test(`${store}: a restored copy is the past, and connectors, people and events know it`, async (t) => {
    const env = store === 'PGlite' ? {} : { DATABASE_URL: (await postgresOf(t)).url }
    const world = await journey(t, { env, store: store === 'PGlite' ? store : 'as the run says' })
    const { admin } = world
    const prod = await world.destination('prod')
    const ana = await world.loggedIn('ana@example.com')
    const ben = await world.loggedIn('ben@example.com')
    const grant = (name: string) => ['grants', 'add', name, 'prod', '--role', 'edit', '--wait']
    const revoke = (name: string) => ['grants', 'remove', name, 'prod', '--role', 'edit', '--wait']
    // Revoked before the copy is taken: a restore does not bring it back.
    await admin.ok(grant(ben.email))
    await admin.ok(revoke(ben.email))
    await admin.ok(grant(ana.email))
    const file = join(world.dir, 'backup.gz')
    const command = (words: string[]) =>
      run([...productCommand(), 'server', ...words], {
        ...clean(),
        INFRA_DATA_DIR: world.dataDir,
        ...env,
      })
    if (store === 'PGlite') await world.server?.stop()
    const copied = await command(['backup', file])
    assert.equal(copied.code, 0, copied.stderr)
    if (store === 'PGlite') await world.startServer()
    await isLinked(world, 'prod')

    // After the copy: what is given is lost with it, what is taken away stands again.
    await admin.ok(grant(ben.email))
    await admin.ok(revoke(ana.email))
    await ben.ok(['list'])
    const open = await openStreams(world, ben, { destination: 'prod', namespace: 'restored' })
    await isRefused(ana, 'prod')

    const underServer = await command(['restore', file, '--replace'])
    assert.equal(underServer.code, 1)
    assert.match(underServer.stderr, /a server runs on this database|in use/)
    await world.server?.stop()
    const inUse = await command(['restore', file])
    assert.equal(inUse.code, 1)
    assert.match(inUse.stderr, /--replace/)
    const restored = await command(['restore', file, '--replace'])
    assert.equal(restored.code, 0, restored.stderr)
    await world.startServer()

    // The connector never stopped, and knew later revisions than there are now.
    await areCut(world, open)
    await isRefused(ben, 'prod')
    await isLinked(world, 'prod')
    await ana.ok(['list'])
    await ana.kubectlOk(['--context', 'infra:prod', 'get', 'pods', '--namespace', 'restored'])
    const events = await admin.json<Event[]>(['events'])
    assert.deepEqual(
      events.map(({ number }) => number),
      events.map((_, index) => index + 1),
    )
    const said = events.filter(({ kind }) => kind === 'database.restored')
    assert.equal(said.length, 1)
    assert.match(String(said[0]?.detail['warning']), /grants revoked/)
    await admin.ok(revoke(ana.email))
    await isRefused(ana, 'prod')
    assert.equal(await prod.readiness(), 200)
    rmSync(file)
  })
}

test('a database that went back behind the back of everybody is noticed by what a connector knows', async (t) => {
  const postgres = await postgresOf(t)
  const world = await journey(t, { env: { DATABASE_URL: postgres.url } })
  const { admin } = world
  await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  await admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const yesterday = await postgres.copy()
  await admin.ok(['grants', 'add', ben.email, 'prod', '--role', 'edit', '--wait'])
  const open = await openStreams(world, ben, { destination: 'prod', namespace: 'went-back' })
  // A snapshot of the disk, put back: nothing of ours took part in it.
  await world.server?.stop()
  await postgres.putBack(yesterday)
  await world.startServer()

  await areCut(world, open)
  await isRefused(ben, 'prod')
  const events = await admin.json<Event[]>(['events'])
  const said = events.filter(({ kind }) => kind === 'database.restored')
  assert.equal(said.length, 1)
  assert.equal((said[0]?.detail['noticedBy'] as { name: string } | undefined)?.name, 'prod')
  await ana.ok(['list'])
  await ana.kubectlOk(['--context', 'infra:prod', 'get', 'pods', '--namespace', 'went-back'])
})
