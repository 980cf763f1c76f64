/** The counts of a campaign: a fuzzer that refuses everything finds nothing, and should be seen to. */
import type { Judged } from './batch.ts'

/** Reasons hold names that a caller made up; so many are told apart, and no more. */
const mostReasons = 80

export class Tally {
  cases = 0
  readonly #startedAt = performance.now()
  readonly #of = { caller: { all: 0, accepted: 0 }, upstream: { all: 0, accepted: 0 } }
  readonly #reasons = new Map<string, number>()

  count({ one, seen, isAccepted }: Judged): void {
    this.cases += 1
    const kind = this.#of[one.hostile]
    kind.all += 1
    if (isAccepted) kind.accepted += 1
    for (const { status, message, cause } of seen.refused) {
      const why = status === 502 ? cause : message
      this.#note(
        `${status} ${why.replace(/^refused: /, '').replace(/^(the header )?\S+ (?=is not taken|names|holds)/, '… ')}`,
      )
    }
  }

  /** Which part of the cases passed a message on whole. */
  accepted(hostile: 'caller' | 'upstream'): number {
    const { all, accepted } = this.#of[hostile]
    return all === 0 ? 0 : accepted / all
  }

  /** One line. */
  get line(): string {
    const seconds = (performance.now() - this.#startedAt) / 1000
    const percent = (hostile: 'caller' | 'upstream') =>
      `${Math.round(this.accepted(hostile) * 100)} %`
    return [
      `${this.cases} cases in ${seconds.toFixed(0)} s (${Math.round(this.cases / seconds)} a second)`,
      `accepted of callers' ${percent('caller')}, of upstreams' ${percent('upstream')}`,
      `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`,
    ].join('; ')
  }

  /** Why what was refused was refused, most frequent first. */
  get reasons(): string[] {
    const sorted = [...this.#reasons].toSorted(([, a], [, b]) => b - a)
    return sorted.map(([why, count]) => `${String(count).padStart(8)} ${why}`)
  }

  #note(why: string): void {
    const key = this.#reasons.has(why) || this.#reasons.size < mostReasons ? why : 'other'
    this.#reasons.set(key, (this.#reasons.get(key) ?? 0) + 1)
  }
}
