/** Access taken away: what is open is cut at once, at both ends, and nobody else feels it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../processes.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import { journey, type World } from './world.ts'

/** Two destinations and three people who have streams open; `ana` is about to lose `prod`. */
async function threePeople(world: World, namespace: string, grantAna: () => Promise<void>) {
  await world.destination('prod')
  await world.destination('stage')
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  const { admin } = world
  await grantAna()
  await admin.ok(['grants', 'add', ana.email, 'stage', '--role', 'edit', '--wait'])
  await admin.ok(['grants', 'add', ben.email, 'prod', '--role', 'edit', '--wait'])
  await admin.ok(['grants', 'add', admin.email, 'prod', '--role', 'admin', '--wait'])
  const open = (person: typeof ana, destination: string, at: string) =>
    openStreams(world, person, { destination, namespace: `${namespace}-${at}` })
  return {
    ana,
    lost: await open(ana, 'prod', 'lost'),
    neighbours: [
      await open(ana, 'stage', 'stage'),
      await open(ben, 'prod', 'ben'),
      await open(admin, 'prod', 'admin'),
    ],
  }
}

test('a grant revoked cuts watch, logs and exec at both ends, and no stream of anybody else', async (t) => {
  const world = await journey(t)
  const { admin } = world
  const { ana, lost, neighbours } = await threePeople(world, 'revoked', async () => {
    await admin.ok(['grants', 'add', 'ana@example.com', 'prod', '--role', 'edit', '--wait'])
  })

  await t.test('ten unrelated changes cut nothing', async () => {
    for (const n of [1, 2, 3, 4, 5]) {
      await admin.ok(['users', 'add', `other${n}@example.com`])
      await admin.ok(['grants', 'add', `other${n}@example.com`, 'prod', '--role', 'view', '--wait'])
    }
    for (const stream of [lost, ...neighbours]) await goesOn(world, stream)
  })

  await t.test('a grant added twice and one taken away cuts nothing', async () => {
    const words = ['grants', 'add', ana.email, 'prod', '--role', 'edit']
    const again = await admin.json<{ id: string }>([...words, '--for', '1h'])
    const gone = await world.api('DELETE', `/api/grants/${again.id}`)
    assert.equal(gone.status, 200)
    // Whatever comes after it on the link shows that this change was enforced too.
    await admin.ok(['grants', 'add', ana.email, 'prod.unrelated', '--role', 'view', '--wait'])
    await goesOn(world, lost)
  })

  await admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait'])
  await areCut(world, lost)
  await isRefused(ana, 'prod')
  for (const stream of neighbours) await goesOn(world, stream)
})

test('a group left cuts what came in by it', async (t) => {
  const world = await journey(t)
  const { admin } = world
  const { ana, lost, neighbours } = await threePeople(world, 'left', async () => {
    await admin.ok(['groups', 'add', 'ops'])
    await admin.ok(['groups', 'add-user', 'ops', 'ana@example.com'])
    await admin.ok(['grants', 'add', 'ops', 'prod', '--role', 'edit', '--group', '--wait'])
  })
  await admin.ok(['groups', 'remove-user', 'ops', ana.email])
  await areCut(world, lost)
  await isRefused(ana, 'prod')
  for (const stream of neighbours) await goesOn(world, stream)
})

test('a user disabled loses every stream everywhere', async (t) => {
  const world = await journey(t)
  const { admin } = world
  const { ana, lost, neighbours } = await threePeople(world, 'disabled', async () => {
    await admin.ok(['grants', 'add', 'ana@example.com', 'prod', '--role', 'edit', '--wait'])
  })
  const [elsewhere, ...others] = neighbours
  assert.ok(elsewhere)
  await admin.ok(['users', 'disable', ana.email])
  await areCut(world, lost)
  await areCut(world, elsewhere)
  await isRefused(ana, 'prod')
  await isRefused(ana, 'stage')
  for (const stream of others) await goesOn(world, stream)
})

test('a session ended by logout cuts what it had opened, everywhere', async (t) => {
  const world = await journey(t)
  const { admin } = world
  const { ana, lost, neighbours } = await threePeople(world, 'logout', async () => {
    await admin.ok(['grants', 'add', 'ana@example.com', 'prod', '--role', 'edit', '--wait'])
  })
  const [elsewhere, ...others] = neighbours
  assert.ok(elsewhere)
  await ana.ok(['logout'])
  await areCut(world, lost)
  await areCut(world, elsewhere)
  await isRefused(ana, 'prod')
  for (const stream of others) await goesOn(world, stream)
})

test('a grant that expires cuts what it had let in', async (t) => {
  const world = await journey(t)
  const { admin } = world
  const words = ['grants', 'add', 'ana@example.com', 'prod', '--role', 'edit']
  let endless = ''
  const { ana, lost, neighbours } = await threePeople(world, 'expired', async () => {
    endless = (await admin.json<{ id: string }>(words)).id
  })
  // However long it took to open the streams, they now stand by a grant that ends by itself.
  await admin.ok([...words, '--for', '15s', '--wait'])
  assert.equal((await world.api('DELETE', `/api/grants/${endless}`)).status, 200)
  await areCut(world, lost)
  await isRefused(ana, 'prod')
  for (const stream of neighbours) await goesOn(world, stream)
  await until('the end of the grant is an event', async () => {
    const events = await admin.json<{ kind: string }[]>(['events'])
    return events.some(({ kind }) => kind === 'grant.expired')
  })
})
