import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type World, world } from '../test/world.ts'
import { createHealth } from './app.ts'
import { questions } from './db/schema.ts'
import { expire } from './expiry.ts'
import { FarEnd, linked } from './hub/link.fixtures.ts'
import { Metrics, RequestCounts } from './metrics.ts'

const later = (w: World, seconds: number): void => {
  w.clock.now = new Date(w.clock.now.getTime() + seconds * 1000)
}

/** What a metric says; null: it has no line. */
async function told(w: World, name: string): Promise<number | null> {
  const lines = (await w.metrics.text()).split('\n')
  const line = lines.find((one) => one.startsWith(`${name} `))
  return line === undefined ? null : Number(line.slice(name.length))
}

test('requests are counted by whom they are for and by their class, and by nothing else', async (t) => {
  const w = await world(t)
  const requests = new RequestCounts()
  for (const status of [200, 201, 404, 999, 0]) requests.count('admin', status)
  const clock = () => w.clock.now
  const text = await new Metrics({ store: w.store, hub: w.hub, requests, clock }).text()
  assert.match(text, /^infra_requests_total\{who="admin",status="2xx"\} 2$/m)
  assert.match(text, /^infra_requests_total\{who="admin",status="4xx"\} 1$/m)
  assert.equal(requests.all.length, 4)
})

test('O1: twenty thousand requests of strangers make no new line', async (t) => {
  const { fetch, requests } = await world(t)
  const lines = async () => {
    for (const path of ['a', 'b', 'c']) {
      const headers = { host: `${path}.example.com` }
      await fetch(new Request(`http://server/api/users/${path}`, { method: 'PUT', headers }))
      await fetch(new Request(`http://server/api/nothing/${path}`, { headers }))
      await fetch(new Request('http://server/api/users', { headers }))
    }
    return requests.all.length
  }
  assert.equal(await lines(), await lines())
})

test('links, receipts, cuts and the newest event are told on the listener for health', async (t) => {
  const w = await world(t)
  const far = await linked(w, 'prod')
  const [access] = far.access
  assert.ok(access)
  far.ack(access, 3)
  await far.beat()
  const health = createHealth(w.db, () => w.metrics.text())
  const response = await health.fetch(new Request('http://server/metrics'))
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  assert.match(text, /^infra_links 1$/m)
  assert.match(text, /^infra_receipts_total 1$/m)
  assert.match(text, /^infra_streams_severed_total 3$/m)
  assert.match(text, /^infra_events_newest [1-9]/m)
  assert.match(text, /^infra_requests_total\{who="admin",status="2xx"\} 1$/m)
  assert.equal((await w.fetch(new Request('http://server/metrics'))).status, 404)
})

test('connectors are told by how they are heard of, and a destination of which nobody is', async (t) => {
  const w = await world(t)
  await linked(w, 'prod')
  const gone = await linked(w, 'stage')
  await w.client.destinations.create({ name: 'never had a connector'.replaceAll(' ', '-') })
  assert.equal(await told(w, 'infra_connectors{link="linked"}'), 2)
  assert.equal(await told(w, 'infra_destinations_silent'), 0)
  assert.equal(await told(w, 'infra_lease_seconds_left_least'), w.settings.leaseSeconds)
  later(w, w.settings.leaseSeconds * 0.75)
  const back = new FarEnd(w.hub, gone.at)
  back.hello('two')
  await back.beat()
  await expire({ ...w, clock: () => w.clock.now, listeningSince: new Date(0) })
  assert.equal(await told(w, 'infra_connectors{link="linked"}'), 1)
  assert.equal(await told(w, 'infra_connectors{link="silent"}'), 2)
  assert.equal(await told(w, 'infra_destinations_silent'), 1)
  assert.equal(await told(w, 'infra_lease_seconds_left_least'), w.settings.leaseSeconds * 0.25)
  later(w, w.settings.leaseSeconds * 0.5)
  assert.equal(await told(w, 'infra_connectors{link="silent"}'), 0)
  assert.equal(await told(w, 'infra_destinations_silent'), 1)
})

test('the longest overdue question to a provider is told, and who is without an answer', async (t) => {
  const w = await world(t)
  assert.equal(await told(w, 'infra_revalidation_overdue'), 0)
  assert.equal(await told(w, 'infra_revalidation_late_seconds'), 0)
  const { id: providerId } = await w.client.providers.create({
    ...{ name: 'okta', issuer: 'https://id.example.com', clientId: 'infra' },
  })
  const inSeconds = (seconds: number) => new Date(w.clock.now.getTime() + seconds * 1000)
  for (const [at, due, failingSince] of [
    ['a', -90, inSeconds(-200)],
    ['b', -5, null],
    ['c', 60, null],
  ] as const) {
    const { id: userId } = await w.user(`${at}@example.com`)
    const answeredAt = inSeconds(-300)
    const dueAt = inSeconds(due)
    await w.db.insert(questions).values({ userId, providerId, dueAt, answeredAt, failingSince })
  }
  assert.equal(await told(w, 'infra_revalidation_overdue'), 2)
  assert.equal(await told(w, 'infra_revalidation_late_seconds'), 90)
  assert.equal(await told(w, 'infra_revalidation_failing'), 1)
})

test('while the database does not answer, whatever needs none of it is told, and that it does not', async (t) => {
  const w = await world(t)
  const broken = {
    select: () => {
      throw new Error('gone')
    },
  }
  for (const select of [
    broken.select,
    () => ({ from: () => ({ where: () => ({ groupBy: () => new Promise(() => {}) }) }) }),
  ]) {
    const db = new Proxy(w.db, {
      get: (of, name) => (name === 'select' ? select : Reflect.get(of, name)),
    })
    const store = { db, isListening: () => false }
    const { hub, requests } = w
    const metrics = new Metrics({ store, hub, requests, clock: () => w.clock.now })
    const text = await metrics.text()
    assert.match(text, /^infra_database_up 0$/m)
    assert.match(text, /^infra_database_listening 0$/m)
    assert.match(text, /^infra_links 0$/m)
    assert.doesNotMatch(text, /^infra_destinations_silent \d/m)
  }
  assert.equal(await told(w, 'infra_database_up'), 1)
  assert.equal(await told(w, 'infra_database_listening'), 1)
})
