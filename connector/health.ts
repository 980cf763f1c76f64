/**
 * Whether the connector lives and is ready, and its numbers, for the cluster's probes and whoever
 * collects metrics. It has a listener of its own: at the door these paths are the API server's.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Address } from '../src/wire/address.ts'
import type { Standing } from './access.ts'
import type { PollCounts } from './poll.ts'

/** All that is told. No name of a user or a path is in it, so it grows with nothing. */
export type Facts = {
  isServing: boolean
  /** Why nobody may be let in; null while the lease runs. */
  lapse: Extract<Standing, { kind: 'no-lease' }> | null
  isLinked: boolean
  revision: number | null
  leaseLeftSeconds: number
  streams: number
  severed: number
  /** Half of the lease is over without a word from the server, and how often that was so. */
  isLeaseHalfOver: boolean
  leaseWarnings: number
  polls: PollCounts
  /** Refused requests by their status. */
  refused: Map<number, number>
}

/** Why the connector is not ready, in a sentence; null: it serves, and knows whom to let in. */
export function whyNotReady({ isServing, lapse }: Facts): string | null {
  if (!isServing) return 'the connector does not serve yet: it has no serving certificate'
  return lapse === null ? null : `nobody is let in: the connector ${lapse.why}`
}

/** The Prometheus text format, version 0.0.4. */
export function metricsText(facts: Facts): string {
  const refused = [...facts.refused].map(([status, count]): [string, number] => [
    `{status="${status}"}`,
    count,
  ])
  const polls = Object.entries(facts.polls).map(([outcome, count]): [string, number] => [
    `{outcome="${outcome}"}`,
    count,
  ])
  return [
    metric('streams_open', 'gauge', [['', facts.streams]]),
    metric('streams_severed_total', 'counter', [['', facts.severed]]),
    metric('requests_refused_total', 'counter', refused),
    metric('lease_left_seconds', 'gauge', [['', Math.round(facts.leaseLeftSeconds)]]),
    metric('lease_half_over', 'gauge', [['', facts.isLeaseHalfOver ? 1 : 0]]),
    metric('lease_warnings_total', 'counter', [['', facts.leaseWarnings]]),
    metric('polls_total', 'counter', polls),
    metric('link_up', 'gauge', [['', facts.isLinked ? 1 : 0]]),
    metric('access_revision', 'gauge', facts.revision === null ? [] : [['', facts.revision]]),
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
  const type = 'text/plain; version=0.0.4; charset=utf-8'
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
  response.end(`${text}\n`)
}

function metric(name: string, type: 'gauge' | 'counter', values: [string, number][]): string {
  const full = `infra_connector_${name}`
  const lines = values.map(([labels, value]) => `${full}${labels} ${value}\n`)
  return `# TYPE ${full} ${type}\n${lines.join('')}`
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address ? address.port : 0
}
