/** Chance that can be had again: all that a run decides comes from one seed. */

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 to below 1 (mulberry32: 32 bits of state are enough to pick by). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  isLucky(share: number): boolean {
    return this.next() < share
  }

  /** One of them; undefined of none. */
  pick<T>(from: Iterable<T>): T | undefined {
    const all = [...from]
    return all[Math.floor(this.next() * all.length)]
  }

  /** One of the names, each as often as its weight says. */
  weighed<Name extends string>(weights: Record<Name, number>): Name {
    const names = Object.keys(weights) as Name[]
    const sum = names.reduce((total, name) => total + weights[name], 0)
    let left = this.next() * sum
    for (const name of names) if ((left -= weights[name]) < 0) return name
    throw new Error('nothing weighs anything')
  }

  /** Another source, which goes on by itself: who is slow does not change what others get. */
  branch(): Random {
    return new Random(Math.floor(this.next() * 2 ** 32))
  }
}
