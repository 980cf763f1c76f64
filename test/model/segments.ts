/** The history, judged piece by piece: each piece goes on from where the one before it ended. */
import type { Entry, History } from './history.ts'
import { judge } from './judge.ts'
import { nothing, type State } from './model.ts'
import type { Segment, Stream } from './timeline.ts'
import { usualLeaseSeconds } from './world.ts'

/** What is counted and found, over all of them. */
export type Found = {
  wrong: string[]
  checks: Map<string, number>
  acknowledgedMs: number[]
  cutMs: number[]
}

export class Segments {
  /** What stood when the piece began that is to be judged next, and when that was. */
  base: State = nothing()
  begunAt = 0
  readonly #history: History
  readonly #tolerance: number
  readonly #found: Found
  #carried: Stream[] = []
  #offsets: Segment['serverOffsets'] = []
  readonly #doubtful = new Set<string>()

  constructor(history: History, tolerance: number, found: Found) {
    this.#history = history
    this.#tolerance = tolerance
    this.#found = found
  }

  /** Judges all since the last, and says how much was wrong. */
  judge(what: string, restored: Segment['restored']): number {
    const entries: Entry[] = this.#history.take()
    const verdict = judge({
      ...{ base: this.base, begunAt: this.begunAt, entries, carried: this.#carried, restored },
      wallOffset: Date.now() - performance.now(),
      serverOffsets: this.#offsets,
      usualLeaseSeconds,
      doubtful: this.#doubtful,
      tolerance: this.#tolerance,
    })
    this.base = verdict.state
    this.begunAt = this.#history.now
    this.#carried = verdict.carried
    this.#offsets = verdict.serverOffsets
    const { wrong, checks, acknowledgedMs, cutMs } = this.#found
    wrong.push(...verdict.wrong.map((each) => `after ${what}: ${each}`))
    acknowledgedMs.push(...verdict.acknowledgedMs)
    cutMs.push(...verdict.cutMs)
    for (const [name, count] of Object.entries(verdict.checks)) {
      checks.set(name, (checks.get(name) ?? 0) + count)
    }
    return verdict.wrong.length
  }
}
