/**
 * Work that is done for many at once. One batch runs at a time, and it begins after everything in
 * it was asked for: whoever asks while one runs shares the next, because what that one has read
 * already says nothing of this instant.
 */
type Work<Item, Result> = (items: Item[]) => Promise<(item: Item) => Result>
type Asked<Item, Result> = { item: Item } & PromiseWithResolvers<Result>
type Options = {
  /** How many are done at once; the rest follows. */
  most?: number
  /** Waits for others to come, before a batch begins. */
  gather?: () => Promise<void>
}

export class Batches<Item, Result> {
  readonly #work: Work<Item, Result>
  readonly #most: number
  readonly #gather: () => Promise<void>
  #waiting: Asked<Item, Result>[] = []
  #running: Promise<void> | null = null

  /** `work` gives what came of each. */
  constructor(
    work: Work<Item, Result>,
    { most = Infinity, gather = () => Promise.resolve() }: Options = {},
  ) {
    this.#work = work
    this.#most = most
    this.#gather = gather
  }

  /** @throws what `work` throws, to all that it was done for. */
  ask(item: Item): Promise<Result> {
    const asked = { item, ...Promise.withResolvers<Result>() }
    this.#waiting.push(asked)
    this.#running ??= this.#run()
    return asked.promise
  }

  /** Settles when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Whoever asks in the same turn of the loop is in it, too.
      await this.#gather()
      await this.#runOnce(this.#waiting.splice(0, this.#most))
    }
    this.#running = null
  }

  async #runOnce(batch: Asked<Item, Result>[]): Promise<void> {
    try {
      const resultOf = await this.#work(batch.map(({ item }) => item))
      for (const { item, resolve } of batch) resolve(resultOf(item))
    } catch (thrown) {
      for (const { reject } of batch) reject(thrown)
    }
  }
}
