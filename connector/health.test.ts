import assert from 'node:assert/strict'
import { test } from 'node:test'
import { well } from './health.fixtures.ts'
import { type Facts, listenHealth, metricsText, whyNotReady } from './health.ts'

const lapsed = {
  kind: 'no-lease',
  since: 0,
  why: 'has had no word from its server for longer than its lease',
} as const

test('it is ready once it serves and knows whom to let in', () => {
  assert.equal(whyNotReady(well), null)
  assert.match(whyNotReady({ ...well, isServing: false }) ?? '', /no serving certificate/)
  assert.match(whyNotReady({ ...well, lapse: lapsed }) ?? '', /longer than its lease/)
})

test('a link that is down does not make it unready while its lease runs', () => {
  assert.equal(whyNotReady({ ...well, isLinked: false }), null)
})

test('its numbers are told in the Prometheus text format', () => {
  const lines = metricsText(well).split('\n')
  for (const line of [
    'infra_streams_open 3',
    'infra_streams_severed_total 2',
    'infra_connections_open{kind="stranger"} 6',
    'infra_connections_open{kind="busy"} 8',
    'infra_connections_closed_total{reason="displaced"} 4',
    'infra_requests_refused_total{status="401"} 5',
    'infra_lease_seconds_left 12',
    'infra_requests_total{outcome="answered"} 9',
    'infra_requests_total{outcome="severed"} 2',
    'infra_stream_bytes_total{direction="down"} 20',
    'infra_cluster_problems 1',
    'infra_lease_half_over 0',
    'infra_lease_warnings_total 1',
    'infra_polls_total{outcome="answered"} 4',
    'infra_polls_total{outcome="failed"} 1',
    'infra_link_up 1',
    'infra_access_revision 7',
    '# TYPE infra_enforcement_seconds histogram',
    'infra_enforcement_seconds_bucket{le="0.001"} 2',
    'infra_enforcement_seconds_bucket{le="0.01"} 2',
    'infra_enforcement_seconds_bucket{le="+Inf"} 3',
    'infra_enforcement_seconds_sum 0.5015',
    'infra_enforcement_seconds_count 3',
  ]) {
    assert.ok(lines.includes(line), line)
  }
  assert.ok(!metricsText({ ...well, revision: null }).includes('access_revision 7'))
})

test('probes are answered over plain HTTP, and nothing else is', async (t) => {
  let facts: Facts = { ...well, lapse: lapsed }
  const health = await listenHealth({ host: '127.0.0.1', port: 0 }, () => facts)
  t.after(() => health.close())
  const ask = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${health.port}${path}`, { method })
    return [response.status, await response.text()] as const
  }
  assert.deepEqual(await ask('/healthz'), [200, 'ok\n'])
  const [status, why] = await ask('/readyz')
  assert.equal(status, 503)
  assert.match(why, /^nobody is let in: .*lease\n$/)
  facts = well
  assert.deepEqual(await ask('/readyz?verbose'), [200, 'ok\n'])
  assert.match((await ask('/metrics'))[1], /^infra_link_up 1$/m)
  assert.equal((await ask('/api/v1/pods'))[0], 404)
  assert.equal((await ask('/healthz', 'POST'))[0], 405)
})
