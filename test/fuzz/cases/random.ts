/** Random numbers that come again: xoshiro128** begun from a seed and the number of a case. */
export class Random {
  readonly #state: Uint32Array

  constructor(seed: number, number: number) {
    let from = (seed ^ Math.imul(number + 1, 0x9e3779b9)) >>> 0
    // splitmix32: neighbouring numbers begin far apart.
    this.#state = Uint32Array.from({ length: 4 }, () => {
      from = (from + 0x9e3779b9) >>> 0
      let mixed = Math.imul(from ^ (from >>> 16), 0x21f0aaad)
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
      return (mixed ^ (mixed >>> 15)) >>> 0
    })
  }

  /** An integer from 0 up to and without `limit`. */
  below(limit: number): number {
    return this.#next() % limit
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.below(choices.length)]
    if (chosen === undefined) throw new Error('nothing to choose from')
    return chosen
  }

  /** `count` of them, some perhaps more than once. */
  picks<T>(choices: readonly T[], count: number): T[] {
    return Array.from({ length: count }, () => this.pick(choices))
  }

  #next(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state
    const turned = Math.imul(b, 5)
    const result = Math.imul((turned << 7) | (turned >>> 25), 9) >>> 0
    const last = d ^ b
    this.#state.set([a ^ d ^ b, b ^ c ^ a, c ^ a ^ (b << 9), (last << 11) | (last >>> 21)])
    return result
  }
}
