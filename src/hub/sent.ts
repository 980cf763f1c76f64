/** What a connector was sent last: the base of the next delta. */
import { toldSince } from '../entries.ts'
import type { Look } from './look.ts'
import type { Access, AccessHead, Delta } from '../wire/access.ts'
import { Ledger } from '../wire/ledger.ts'

export class Sent {
  readonly head: AccessHead
  readonly #ledger: Ledger
  /** Since when ended sessions were told: it moves about once a day. */
  readonly #toldSince: number
  #since: number

  constructor(access: Access, now: Date) {
    const { users: _, groups: _groups, grants: _grants, ...head } = access
    this.head = head
    this.#ledger = new Ledger(access)
    this.#toldSince = toldSince(head.destination.id, now)
    this.#since = access.revision
  }

  get epoch(): string {
    return this.head.epoch
  }

  /** The revision of the Access or the delta that was sent last. */
  get since(): number {
    return this.#since
  }

  /** Of all that was sent. */
  get digest(): string {
    return this.#ledger.digest
  }

  /** What ended long ago is to be forgotten, on both ends. */
  isAged(now: Date): boolean {
    return this.#toldSince !== toldSince(this.head.destination.id, now)
  }

  /** Says the same as `before`, and need not be sent. */
  continues(before: Sent): void {
    this.#since = before.since
  }

  /**
   * What a look found, as a delta of what was sent; from then on it counts as sent. `nothing` where
   * it changed nothing, `unknown` where all of Access must be read to know.
   */
  follow({ revision, changed }: Look): Delta | 'nothing' | 'unknown' {
    const { destination, epoch } = this.head
    const change = changed(destination.id, (subject) => this.#ledger.knows(subject))
    if (!change) return 'unknown'
    const { subjects, entries } = change
    if (!this.#ledger.change(subjects, entries)) return 'nothing'
    const since = this.#since
    this.#since = revision
    return { epoch, since, revision, subjects, ...entries }
  }
}
