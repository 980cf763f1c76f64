import assert from 'node:assert/strict'
import { test } from 'node:test'
import { world } from '../test/world.ts'
import { createHealth } from './app.ts'
import { linked } from './hub/link.fixtures.ts'
import { metricsText, RequestCounts } from './metrics.ts'

test('requests are counted by whom they are for and by their class, and by nothing else', () => {
  const requests = new RequestCounts()
  for (const status of [200, 201, 404, 999, 0]) requests.count('admin', status)
  const text = metricsText(requests, { links: 0, newest: null, receipts: 0, severed: 0 })
  assert.match(text, /^infra_requests_total\{who="admin",status="2xx"\} 2$/m)
  assert.match(text, /^infra_requests_total\{who="admin",status="4xx"\} 1$/m)
  assert.equal(requests.all.length, 4)
  assert.doesNotMatch(text, /^infra_events_newest/m)
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
  const { db, hub, requests, ...w } = await world(t)
  const far = await linked({ db, hub, requests, ...w }, 'prod')
  const [access] = far.access
  assert.ok(access)
  far.ack(access, 3)
  await far.beat()
  const health = createHealth(db, () => metricsText(requests, hub.numbers))
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
