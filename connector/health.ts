/**
 * Whether the connector lives and is ready, and its numbers, for the cluster's probes and whoever
 * collects metrics. It has a listener of its own: at the door these paths are the API server's.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Address } from '../src/wire/address.ts'
import { logFailures } from '../src/wire/log.ts'
import {
  by,
  counter,
  counters,
  gauge,
  gauges,
  type Histogram,
  metricsType,
} from '../src/wire/prometheus.ts'
import type { Standing } from './access.ts'
import type { PollCounts } from './link/poll.ts'
import type { Closing, Kind } from './splice/places.ts'
import type { Ending } from './splice/records.ts'

/** All that is told. No name of a user or a path is in it, so it grows with nothing. */
export type Facts = {
  isServing: boolean
  /** Why nobody may be let in; null while the lease runs. */
  lapse: Extract<Standing, { kind: 'no-lease' }> | null
  isLinked: boolean
  revision: number | null
  leaseLeftSeconds: number
  streams: number
  /** Connections at the door, and those closed for want of a place or of a request. */
  connections: Map<Kind, number>
  closed: Map<Closing, number>
  severed: number
  /** How long enforcing takes. */
  enforcement: Pick<Histogram, 'text'>
  /** Half of the lease is over without a word from the server, and how often that was so. */
  isLeaseHalfOver: boolean
  leaseWarnings: number
  polls: PollCounts
  /** Refused requests by their status. */
  refused: Map<number, number>
  /** Streams that ended, by how; and the bytes that they carried to the API server and back. */
  ended: Map<Ending, number>
  carried: { up: number; down: number }
  /** How many things are wrong with the cluster's bindings and the account's rights. */
  problems: number
}

/** Why the connector is not ready, in a sentence; null: it serves, and knows whom to let in. */
export function whyNotReady({ isServing, lapse }: Facts): string | null {
  if (!isServing) return 'the connector does not serve yet: it has no serving certificate'
  return lapse === null ? null : `nobody is let in: the connector ${lapse.why}`
}

/** The Prometheus text format, version 0.0.4. */
export function metricsText(facts: Facts): string {
  const bytes = by('direction', new Map(Object.entries(facts.carried)))
  const polls = by('outcome', new Map(Object.entries(facts.polls)))
  const leaseLeft = Math.round(facts.leaseLeftSeconds)
  return [
    gauge('infra_streams_open', 'requests open now', facts.streams),
    gauges('infra_connections_open', 'connections at the door', by('kind', facts.connections)),
    counters(
      'infra_connections_closed_total',
      'connections closed for want of a place or of a request',
      by('reason', facts.closed),
    ),
    counter(
      'infra_streams_severed_total',
      'streams cut because access was withdrawn',
      facts.severed,
    ),
    facts.enforcement.text(
      'infra_enforcement_seconds',
      'from new access in hand until all that it does not let in is cut',
    ),
    counters(
      'infra_requests_total',
      'requests let in, by how they ended',
      by('outcome', facts.ended),
    ),
    counters('infra_requests_refused_total', 'requests refused', by('status', facts.refused)),
    counters('infra_stream_bytes_total', 'bytes to and from the API server', bytes),
    gauge('infra_link_up', 'whether the link to the server is up', facts.isLinked ? 1 : 0),
    gauge('infra_lease_seconds_left', 'how long anybody is let in without the server', leaseLeft),
    gauge(
      'infra_lease_half_over',
      'half of it is over without a word',
      facts.isLeaseHalfOver ? 1 : 0,
    ),
    counter('infra_lease_warnings_total', 'times that half of it was over', facts.leaseWarnings),
    counters('infra_polls_total', 'polls, by what came of them', polls),
    gauge('infra_access_revision', 'the newest access that is enforced', facts.revision),
    gauge('infra_cluster_problems', 'what is wrong in the cluster', facts.problems),
    counter('infra_log_failures_total', 'times that the log could not be written', logFailures()),
  ].join('')
}

export async function listenHealth(
  { host, port }: Address,
  facts: () => Facts,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (isRead) answer(request.url ?? '', facts, response)
    else say(response, 405, 'this is for reading only')
  })
  server.requestTimeout = 10_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, resolve)
  })
  return {
    port: portOf(server.address()),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(url: string, facts: () => Facts, response: ServerResponse): void {
  const [path] = url.split('?')
  if (path === '/healthz') return say(response, 200, 'ok')
  if (path === '/metrics') return say(response, 200, metricsText(facts()).trimEnd())
  if (path !== '/readyz') return say(response, 404, 'there are /healthz, /readyz and /metrics')
  const why = whyNotReady(facts())
  say(response, why === null ? 200 : 503, why ?? 'ok')
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': metricsType, 'cache-control': 'no-store' })
  response.end(`${text}\n`)
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address ? address.port : 0
}
