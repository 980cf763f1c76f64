/** Tells the database now and then that an instance is heard of, so that a restart knows it too. */
import type { ConnectorActor } from '../call.ts'
import { markEveryMs, markHeard, markLeft } from '../connectors.ts'
import type { Database } from '../db/database.ts'
import { fromDatabase } from '../db/errors.ts'
import type { Receipt } from './receipt.ts'
import { log } from '../wire/log.ts'

export class Marks {
  readonly #db: Database
  readonly #clock: () => Date

  constructor(db: Database, clock: () => Date) {
    this.#db = db
    this.#clock = clock
  }

  /** Never rejects: who cannot be marked is heard of all the same. */
  async heard(actor: ConnectorActor, receipt: Receipt, via: 'link' | 'poll'): Promise<void> {
    const at = this.#clock()
    const { instance, leaseSeconds, markedAt } = receipt
    if (at.getTime() - markedAt.getTime() < markEveryMs(leaseSeconds)) return
    receipt.markedAt = at
    try {
      await markHeard(this.#db, actor, { instance, via, at, leaseSeconds })
    } catch (thrown) {
      const facts = { destination: actor.destinationName, error: fromDatabase(thrown) }
      log('warn', 'a connector was not marked as heard of', facts)
    }
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
