/**
 * A database that has lost events: it was restored to the past. Revisions would be given out a
 * second time, so a new epoch begins, in which all begin anew.
 */
import type { ConnectorActor } from '../call.ts'
import type { Database } from '../db/database.ts'
import { beginEpoch } from '../epoch.ts'
import type { Look } from './look.ts'
import { log } from '../wire/log.ts'

/** A connector is believed once an hour: with its key, somebody could make all of them begin anew. */
const believeEveryMs = 3_600_000

export type Point = Pick<Look, 'at' | 'epoch' | 'revision'>

export class LostEvents {
  readonly #db: Database
  readonly #clock: () => Date
  /** When each destination's connector was believed last. */
  readonly #believed = new Map<string, number>()

  constructor(db: Database, clock: () => Date) {
    this.#db = db
    this.#clock = clock
  }

  /** @throws when the new epoch cannot be written: then nothing was sent of what is there now. */
  async found(epoch: string, facts: Record<string, unknown>): Promise<void> {
    log('error', 'the database went back in time, all connectors begin anew', facts)
    await beginEpoch(this.#db, epoch, this.#clock(), facts)
  }

  /** A connector knows a later revision than there is; false where it is not believed (again). */
  async claimed(
    { destinationId: id, destinationName: name }: ConnectorActor,
    knownRevision: number,
    { at, epoch, revision }: Point,
  ): Promise<boolean> {
    const last = this.#believed.get(id)
    const now = at.getTime()
    if (last !== undefined && now - last < believeEveryMs) return false
    await this.found(epoch, { knownRevision, revision, noticedBy: { id, name } })
    this.#believed.set(id, now)
    return true
  }
}
