/** Poll without link, link without poll, neither: on real processes, through a network in between. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openAuthority } from '../../src/authority.ts'
import type { Receipt } from '../../src/wire/destinations.ts'
import { type Middlebox, startMiddlebox } from '../middlebox.ts'
import { startProxy } from '../proxy.ts'
import { until } from '../processes.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import { type Connector, journey, type World } from './world.ts'

type Shown = { link: string; linked: number; endpoint: string | null }
type Told = { kind: string; detail: { destination?: { name: string }; instance?: string } }

/** A middlebox before the server of `world`, with a certificate of its CA. */
async function middlebox(t: TestContext, world: World): Promise<Middlebox> {
  const authority = await openAuthority(world.dataDir, () => new Date())
  const { certificate: cert, key } = await authority.certifyServer(['127.0.0.1'])
  const ca = readFileSync(join(world.dataDir, 'ca.crt'), 'utf8')
  const box = await startMiddlebox(Number(new URL(world.url).port), { ca, cert, key })
  t.after(() => box.close())
  return box
}

async function shows(world: World, name: string, link: string): Promise<Shown> {
  return until(`${name} is ${link}`, async () => {
    const shown = await world.admin.json<Shown>(['destinations', 'show', name])
    return shown.link === link && shown
  })
}

async function metric(connector: Connector, name: string): Promise<number> {
  const text = await (await fetch(`${await connector.metricsUrl}/metrics`)).text()
  return Number(new RegExp(`^infra_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN)
}

async function toldOf(world: World, name: string): Promise<string[]> {
  const events = await world.admin.json<Told[]>(['events'])
  const ours = events.filter(({ kind, detail }) => {
    return kind.startsWith('connector.') && detail.destination?.name === name
  })
  return ours.map(({ kind }) => kind)
}

test('poll without link: where WebSockets are refused everything works, only later, and that is said', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin } = world
  const box = await middlebox(t, world)
  box.let('requests')
  const server = `https://127.0.0.1:${box.port}`
  const prod = await world.destination('prod', { server })
  const shown = await shows(world, 'prod', 'polling')
  assert.deepEqual([shown.linked, shown.endpoint], [0, prod.endpoint])
  assert.ok(box.seen.upgrades > 0, 'the link was tried')

  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  for (const { email } of [ana, ben]) {
    await admin.ok(['grants', 'add', email, 'prod', '--role', 'edit', '--wait'])
  }
  const lost = await openStreams(world, ana, { destination: 'prod', namespace: 'polled' })
  const kept = await openStreams(world, ben, { destination: 'prod', namespace: 'polled' })
  const { receipts } = await admin.json<{ receipts: Receipt[] }>([
    ...['users', 'disable', ana.email, '--wait'],
  ])
  await areCut(world, lost)
  await isRefused(ana, 'prod')
  await goesOn(world, kept)
  const [connector] = receipts[0]?.connectors ?? []
  assert.deepEqual(
    [receipts[0]?.enforced, connector?.link, connector?.severed],
    [true, 'polling', 3],
  )

  await t.test('the lease is renewed by the poll alone', async () => {
    const asked = box.seen.polls
    await until('a lease and more has passed', () => box.seen.polls >= asked + 5)
    assert.equal(await prod.readiness(), 200)
    await goesOn(world, kept)
    assert.deepEqual(await toldOf(world, 'prod'), [])
  })

  await t.test('a key removed is felt without a link, too', async () => {
    const keys = await admin.json<{ id: string; destination: string | null }[]>(['keys', 'list'])
    const key = keys.find(({ destination }) => destination === 'prod')
    await admin.ok(['keys', 'remove', key?.id ?? ''])
    await areCut(world, kept)
    await isRefused(ben, 'prod')
  })
})

test('when the link is let through again it takes over, and carries a revocation at once', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '5m' } })
  const { admin } = world
  const box = await middlebox(t, world)
  box.let('requests')
  await world.destination('prod', { server: `https://127.0.0.1:${box.port}` })
  await shows(world, 'prod', 'polling')
  box.let('all')
  await shows(world, 'prod', 'linked')
  const ana = await world.loggedIn('ana@example.com')
  await admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const lost = await openStreams(world, ana, { destination: 'prod', namespace: 'relinked' })
  const polls = box.seen.polls
  const { receipt } = await admin.json<{ receipt: Receipt }>([
    ...['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait'],
  ])
  await areCut(world, lost)
  const [connector] = receipt.connectors
  assert.deepEqual([connector?.link, connector?.severed], ['linked', 3])
  assert.equal(box.seen.polls, polls, 'no poll was needed for it')
})

test('link without poll: nothing is missing', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin } = world
  const box = await middlebox(t, world)
  box.let('upgrades')
  const server = `https://127.0.0.1:${box.port}`
  const env = { INFRA_POLL_INTERVAL: '10m' }
  const prod = await world.destination('prod', { server, env })
  await shows(world, 'prod', 'linked')
  const ana = await world.loggedIn('ana@example.com')
  await admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const lost = await openStreams(world, ana, { destination: 'prod', namespace: 'unpolled' })
  await until('several polls were refused', () => box.seen.polls >= 5)
  await goesOn(world, lost)
  assert.ok((await metric(prod, 'polls_total\\{outcome="failed"\\}')) >= 4)
  // A third of the lease is less than the ten minutes that were set.
  assert.match(
    prod.running?.stderr ?? '',
    /INFRA_POLL_INTERVAL is longer than a third of the lease/,
  )
  await admin.ok(['groups', 'add', 'ops'])
  await admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait'])
  await areCut(world, lost)
  await isRefused(ana, 'prod')
})

test('neither: warned of at half of the lease, at its end cut or kept, and all back with the network', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin } = world
  const port = Number(new URL(world.url).port)
  const [swallowing, cutting] = [await startProxy(port), await startProxy(port)]
  t.after(() => swallowing.close())
  t.after(() => cutting.close())
  const at = (proxy: { port: number }) => ({ server: `https://127.0.0.1:${proxy.port}` })
  const cut = await world.destination('cut', at(swallowing))
  const keep = await world.destination('keep', at(cutting))
  await admin.ok(['destinations', 'edit', 'keep', '--on-lease-end', 'keep'])
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  for (const [email, destination] of [
    [ana.email, 'cut'],
    [ana.email, 'keep'],
    [ben.email, 'keep'],
  ] as const) {
    await admin.ok(['grants', 'add', email, destination, '--role', 'edit', '--wait'])
  }
  const open = (person: typeof ana, destination: string) =>
    openStreams(world, person, { destination, namespace: `neither-${destination}` })
  const ended = await open(ana, 'cut')
  const lost = await open(ana, 'keep')
  const kept = await open(ben, 'keep')

  // On a machine that stands still for a moment, one may have been due before.
  const warned = new Map<Connector, number>()
  for (const each of [cut, keep]) {
    await each.ready()
    warned.set(each, await metric(each, 'lease_warnings_total'))
  }
  swallowing.swallow()
  cutting.cut()
  // Whoever started anew knows from its tables who may hold a lease yet.
  await world.server?.stop('SIGKILL')
  await world.startServer()
  const removed = await admin.infra([
    ...['grants', 'remove', ana.email, 'keep', '--role', 'edit'],
    ...['--wait=1s', '--format', 'json'],
  ])
  assert.equal(removed.code, 1)
  const { receipt } = JSON.parse(removed.stdout) as { receipt: Receipt }
  const [offline] = receipt.connectors
  assert.deepEqual([offline?.link, offline?.enforcedAt], ['silent', null])
  assert.ok(Date.parse(offline?.leaseEndsAt ?? '') > 0)
  assert.match(
    removed.stderr,
    /^offline: connector \S+ of keep; its lease ends at \S+, and what is open there is kept$/m,
  )

  await areCut(world, ended)
  for (const connector of [cut, keep]) {
    await until('it is not ready', async () => (await connector.readiness()) === 503)
    assert.match(connector.running?.stderr ?? '', /half of the lease is over without a word/)
    const before = warned.get(connector) ?? 0
    assert.equal(await metric(connector, 'lease_warnings_total'), before + 1)
  }
  await goesOn(world, kept)
  await goesOn(world, lost)
  await isRefused(ben, 'keep')
  for (const name of ['cut', 'keep']) {
    await shows(world, name, 'silent')
    await until('its silence is an event', async () => (await toldOf(world, name)).length > 0)
    assert.deepEqual(await toldOf(world, name), ['connector.silent'])
  }

  swallowing.pass()
  cutting.pass()
  await areCut(world, lost)
  await goesOn(world, kept)
  for (const connector of [cut, keep]) {
    await connector.ready()
    await until('its return is an event', async () => {
      return (await toldOf(world, connector.name)).includes('connector.returned')
    })
    assert.deepEqual(await toldOf(world, connector.name), [
      ...['connector.silent', 'connector.returned'],
    ])
  }
  await goesOn(world, await open(ana, 'cut'))
})
