/**
 * Tells the database now and then that an instance is heard of, so that a restart knows it too. A
 * thousand that come back at once are a few transactions.
 */
import type { ConnectorActor } from '../call.ts'
import { type Heard, markEveryMs, markHeard, markLeft } from '../connectors.ts'
import type { Database } from '../db/database.ts'
import { Batches } from '../db/batches.ts'
import { fromDatabase } from '../db/errors.ts'
import type { Receipt } from './receipt.ts'
import { log } from '../wire/log.ts'

/** The lock of a destination's row is held for as long as all of these take. */
const mostAtOnce = 500

export class Marks {
  readonly #db: Database
  readonly #clock: () => Date
  readonly #batches: Batches<Heard, void>

  constructor(db: Database, clock: () => Date) {
    this.#db = db
    this.#clock = clock
    this.#batches = new Batches(
      async (heard) => {
        await markHeard(db, heard)
        return () => {}
      },
      { most: mostAtOnce },
    )
  }

  /** Never rejects: who cannot be marked is heard of all the same. */
  async heard(actor: ConnectorActor, receipt: Receipt, via: 'link' | 'poll'): Promise<void> {
    const at = this.#clock()
    const { instance, leaseSeconds, markedAt } = receipt
    if (at.getTime() - markedAt.getTime() < markEveryMs(leaseSeconds)) return
    receipt.markedAt = at
    try {
      const destination = { id: actor.destinationId, name: actor.destinationName }
      await this.#batches.ask({ destination, instance, via, at, leaseSeconds })
    } catch (thrown) {
      const facts = { destination: actor.destinationName, error: fromDatabase(thrown) }
      log('warn', 'a connector was not marked as heard of', facts)
    }
  }

  /** Settles when all is written. */
  idle(): Promise<void> {
    return this.#batches.idle()
  }

  /** Never rejects. */
  async left({ destinationId, destinationName }: ConnectorActor, receipt: Receipt): Promise<void> {
    receipt.hasLeft = true
    receipt.markedAt = new Date(0)
    try {
      await markLeft(this.#db, destinationId, receipt.instance)
    } catch (thrown) {
      const facts = { destination: destinationName, error: fromDatabase(thrown) }
      log('warn', 'a connector that left is still marked', facts)
    }
  }
}
