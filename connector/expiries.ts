/** Instants, each as often as it was added, in their order. */
export class Expiries {
  /** Ascending. */
  readonly #instants: number[] = []

  add(at: number): void {
    this.#instants.splice(this.#place(at), 0, at)
  }

  remove(at: number): void {
    const place = this.#place(at)
    if (this.#instants[place] === at) this.#instants.splice(place, 1)
  }

  /** The first after `now`; null: none. */
  after(now: number): number | null {
    return this.#instants[this.#place(now + 1)] ?? null
  }

  /** Where the first stands that is not before `at`. */
  #place(at: number): number {
    let [from, to] = [0, this.#instants.length]
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((this.#instants[middle] ?? at) < at) from = middle + 1
      else to = middle
    }
    return from
  }
}
