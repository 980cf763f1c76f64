/**
 * What a connector knew when it said hello, compared with what there is: until they have met, it is
 * told nothing.
 *
 * Whoever knows a later revision of this very epoch saw what the database has lost, and would take
 * all that is sent for old.
 */
import type { ConnectorActor } from '../call.ts'
import type { LostEvents, Point } from './lost.ts'
import type { Hello } from '../wire/link.ts'

export class Meeting {
  readonly #actor: ConnectorActor
  readonly #known: Pick<Hello, 'epoch' | 'revision'>
  readonly #claim: LostEvents['claimed']
  #hasMet = false
  #isAsking = false

  constructor(
    actor: ConnectorActor,
    known: Pick<Hello, 'epoch' | 'revision'>,
    claim: LostEvents['claimed'],
  ) {
    this.#actor = actor
    this.#known = known
    this.#claim = claim
  }

  get hasMet(): boolean {
    return this.#hasMet
  }

  /** `look` began after the hello, so it knows all that was sent before. Null: no news of that. */
  judge(look: Point): 'met' | 'ahead' | null {
    if (this.#hasMet || this.#isAsking) return null
    const { epoch, revision } = this.#known
    if (epoch === look.epoch && revision !== null && revision > look.revision) return 'ahead'
    this.#hasMet = true
    return 'met'
  }

  /** Whether it is believed, so that a new epoch has begun. @throws when that cannot be written. */
  async claim(look: Point): Promise<boolean> {
    this.#isAsking = true
    try {
      return await this.#claim(this.#actor, this.#known.revision ?? 0, look)
    } finally {
      this.#isAsking = false
    }
  }
}
