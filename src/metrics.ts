/** The server's numbers, for whoever collects metrics. No name of anybody is in them. */
import type { Who } from './call.ts'
import type { LinkNumbers } from './hub/hub.ts'
import { logFailures } from './wire/log.ts'
import { counter, counters, gauge } from './wire/prometheus.ts'

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

export function metricsText(requests: RequestCounts, numbers: LinkNumbers): string {
  const { links, newest, receipts, severed } = numbers
  const answered = requests.all.map(({ who, status, count }): [Record<string, string>, number] => [
    { who, status },
    count,
  ])
  return [
    gauge('infra_links', 'connectors linked now', links),
    gauge('infra_events_newest', 'the number of the newest event', newest),
    counter('infra_receipts_total', 'acknowledgements of access by connectors', receipts),
    counter('infra_streams_severed_total', 'streams that connectors cut for them', severed),
    counters('infra_requests_total', 'requests answered, by whom they are for', answered),
    counter('infra_log_failures_total', 'times that the log could not be written', logFailures()),
  ].join('')
}
