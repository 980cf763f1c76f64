/**
 * Waits that all may take as long: one timer for however many there are. Hardly any of them is ever
 * over, and a timer of its own for each is a price that every request pays.
 */

/** What may not take longer than this; ended before by `Patience.end`. */
export type Wait = { late: () => void; dueAt: number }

export class Patience {
  readonly #ms: number
  readonly #now: () => number
  /** The oldest, which is due first, comes first. */
  readonly #waits = new Set<Wait>()
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(ms: number, now: () => number = () => performance.now()) {
    this.#ms = ms
    this.#now = now
  }

  /** Calls `late` in so many ms from now, unless the wait ends before. */
  begin(late: () => void): Wait {
    const wait = { late, dueAt: this.#now() + this.#ms }
    this.#waits.add(wait)
    this.#arm(this.#ms)
    return wait
  }

  end(wait: Wait): void {
    this.#waits.delete(wait)
  }

  /** `late` is called when `awaited` has not settled in time; what comes of it is the caller's. */
  async during<T>(awaited: Promise<T>, late: () => void): Promise<T> {
    const wait = this.begin(late)
    try {
      return await awaited
    } finally {
      this.end(wait)
    }
  }

  /** It fires once more when nothing waits any longer: rarely, where clearing it is per request. */
  #arm(ms: number): void {
    if (this.#timer) return
    this.#timer = setTimeout(() => this.#look(), ms)
    this.#timer.unref()
  }

  #look(): void {
    this.#timer = null
    const now = this.#now()
    for (const wait of this.#waits) {
      if (wait.dueAt > now) return this.#arm(Math.ceil(wait.dueAt - now))
      this.#waits.delete(wait)
      wait.late()
    }
  }
}
