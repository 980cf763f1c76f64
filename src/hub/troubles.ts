/**
 * Makes of what connectors report an event: once when something is wrong in a destination's cluster,
 * and once when nothing is any more. The same said again by a link that was dialled anew is none.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { ConnectorActor } from '../call.ts'
import type { Database } from '../db/database.ts'
import { fromDatabase } from '../db/errors.ts'
import { recordTrouble, troubledDestinations } from '../destinations.ts'
import type { Receipts } from './receipts.ts'
import { log } from '../wire/log.ts'

type Told = Pick<Receipts, 'problems' | 'isTroubled'>

export class Troubles {
  readonly #db: Database
  readonly #clock: () => Date
  readonly #receipts: Told
  /** Between two events of one destination: what comes and goes faster would fill their log. */
  readonly #restMs: number
  /** Of which destinations the last event is that they are in trouble. */
  #troubled: ReadonlySet<string> = new Set()
  /** By destination: records what has changed, then rests. */
  readonly #turns = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()

  constructor(db: Database, clock: () => Date, receipts: Told, restMs = 5_000) {
    this.#restMs = restMs
    this.#db = db
    this.#clock = clock
    this.#receipts = receipts
  }

  /** Learns what was recorded before this server started. */
  async open(): Promise<void> {
    this.#troubled = new Set(await troubledDestinations(this.#db))
  }

  /** The store may be closed when this returns. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#turns.values())
  }

  /** A connector has said what is wrong. Returns at once: its link does not wait for the database. */
  reported(actor: ConnectorActor): void {
    const id = actor.destinationId
    if (this.#turns.has(id) || this.#closing.signal.aborted || !this.#hasChanged(id)) return
    const turn = this.#take(actor).finally(() => {
      this.#turns.delete(id)
      // What was said meanwhile.
      this.reported(actor)
    })
    this.#turns.set(id, turn)
  }

  #hasChanged(id: string): boolean {
    const isTroubled = this.#receipts.isTroubled(id)
    return isTroubled !== null && isTroubled !== this.#troubled.has(id)
  }

  /** Never rejects; what could not be recorded is tried again after the rest. */
  async #take({ destinationId: id, destinationName: name }: ConnectorActor): Promise<void> {
    const problems = this.#receipts.problems(id)
    try {
      await recordTrouble(this.#db, { id, name }, this.#clock(), problems)
      const others = [...this.#troubled].filter((each) => each !== id)
      this.#troubled = new Set(problems.length > 0 ? [...others, id] : others)
    } catch (thrown) {
      const facts = { destination: name, error: fromDatabase(thrown) }
      log('warn', 'what is wrong in a cluster was not recorded', facts)
    }
    const options = { ref: false, signal: this.#closing.signal }
    await pause(this.#restMs, undefined, options).catch(() => {})
  }
}
