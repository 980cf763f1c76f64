/** The server's numbers, for whoever collects metrics. No name of anybody is in them. */
import { setTimeout } from 'node:timers/promises'
import type { Who } from './call.ts'
import type { Store } from './db/database.ts'
import { fromDatabase } from './db/errors.ts'
import type { LinkNumbers } from './hub/hub.ts'
import { type Survey, survey } from './survey.ts'
import { log, logFailures } from './wire/log.ts'
import { by, counter, counters, gauge, gauges } from './wire/prometheus.ts'

/** Requests answered, by who may send them and by the class of their answer's status. */
export class RequestCounts {
  readonly #counts = new Map<string, { who: Who; status: string; count: number }>()

  /** Both labels are of closed lists: a row's `who`, and five classes of status. */
  count(who: Who, status: number): void {
    const statusClass = `${Math.min(5, Math.max(1, Math.floor(status / 100)))}xx`
    const key = `${who} ${statusClass}`
    const counted = this.#counts.get(key) ?? { who, status: statusClass, count: 0 }
    counted.count += 1
    this.#counts.set(key, counted)
  }

  get all(): { who: Who; status: string; count: number }[] {
    return [...this.#counts.values()]
  }
}

export type MetricsParts = {
  store: Pick<Store, 'db' | 'isListening'>
  hub: { numbers: LinkNumbers }
  requests: RequestCounts
  clock: () => Date
}

/** All that is told; `survey` is null where the database did not say it in time. */
export type Numbers = {
  requests: RequestCounts
  links: LinkNumbers
  isListening: boolean
  survey: Survey | null
}

/** Whoever collects waits some seconds: what does not need the database is told without it. */
const patienceMs = 2_000

export class Metrics {
  readonly #parts: MetricsParts
  #surveying: Promise<Survey | null> | null = null

  constructor(parts: MetricsParts) {
    this.#parts = parts
  }

  /** Never rejects. */
  async text(): Promise<string> {
    const { store, hub, requests } = this.#parts
    const found = await this.#surveyInTime()
    const isListening = store.isListening()
    return metricsText({ requests, links: hub.numbers, isListening, survey: found })
  }

  async #surveyInTime(): Promise<Survey | null> {
    const enough = new AbortController()
    const { signal } = enough
    const late = setTimeout(patienceMs, null, { signal, ref: false }).catch(() => null)
    const found = await Promise.race([this.#survey(), late])
    enough.abort()
    return found
  }

  /** One at a time: who asks while the database is stuck takes no further connection of it. */
  #survey(): Promise<Survey | null> {
    const { store, clock } = this.#parts
    this.#surveying ??= survey(store.db, clock())
      .catch((thrown: unknown) => {
        log('warn', 'metrics are told without the database', { error: fromDatabase(thrown) })
        return null
      })
      .finally(() => {
        this.#surveying = null
      })
    return this.#surveying
  }
}

export function metricsText({ requests, links, isListening, survey: found }: Numbers): string {
  return [linksText(links), databaseText(isListening, found), requestsText(requests)].join('')
}

function linksText(links: LinkNumbers): string {
  return [
    gauge('infra_links', 'connectors linked to this server now', links.links),
    gauge('infra_events_newest', 'the number of the newest event', links.newest),
    links.revocations.text(
      'infra_revocation_seconds',
      'from a loss of access to its acknowledgement by a connector',
    ),
    gauge(
      'infra_revision_lag',
      'revisions that a connector has yet to acknowledge, the most',
      links.revisionLag,
    ),
    gauge(
      'infra_revision_lag_seconds',
      'for how long a change is not acknowledged, the longest',
      links.lagSeconds,
    ),
    counter('infra_receipts_total', 'acknowledgements of access by connectors', links.receipts),
    counter('infra_streams_severed_total', 'streams that connectors cut for them', links.severed),
  ].join('')
}

function databaseText(isListening: boolean, found: Survey | null): string {
  const connectors = found ? by('link', new Map(Object.entries(found.connectors))) : []
  const of = (number: keyof Omit<Survey, 'connectors'>) => found?.[number] ?? null
  return [
    gauge('infra_database_up', 'whether the database answers', found ? 1 : 0),
    gauge('infra_database_listening', 'whether a change would be heard of', isListening ? 1 : 0),
    gauges('infra_connectors', 'connectors whose lease may run, by how heard of', connectors),
    gauge('infra_destinations_silent', 'destinations not heard of', of('destinationsSilent')),
    gauge('infra_lease_seconds_left_least', 'the lease that ends first', of('leaseLeft')),
    gauge('infra_revalidation_overdue', 'questions that are overdue', of('questionsOverdue')),
    gauge('infra_revalidation_late_seconds', 'by how much, the most', of('questionsLate')),
    gauge('infra_revalidation_failing', 'people without an answer', of('questionsFailing')),
  ].join('')
}

function requestsText(requests: RequestCounts): string {
  const answered = requests.all.map(({ who, status, count }): [Record<string, string>, number] => [
    { who, status },
    count,
  ])
  return [
    counters('infra_requests_total', 'requests answered, by whom they are for', answered),
    counter('infra_log_failures_total', 'times that the log could not be written', logFailures()),
  ].join('')
}
