/**
 * How long a loss of access takes until a connector has acknowledged it, and how far behind
 * connectors are: what is measured, never what is enforced by.
 *
 * Measured from the instant in the change's event, which is when the server began with the change:
 * so its own transaction counts, and waiting for other changes, and what is told is never less than
 * what passed since the commit. To the acknowledgement, which a connector sends when every stream
 * is destroyed. Once for each such change and each instance that was told of it. A change that left
 * the Access of a destination as it was is not told there, and so not measured.
 */
import type { Found } from './look.ts'
import { Histogram } from '../wire/prometheus.ts'

/** Kinds of events that take access away, or may: whoever follows a group can only have joined. */
const takingKinds: ReadonlySet<string> = new Set([
  ...['grant.revoked', 'grant.expired'],
  ...['user.disabled', 'user.deleted', 'user.groups_followed'],
  ...['group.member_removed', 'group.deleted'],
  ...['session.ended', 'session.expired', 'key.revoked', 'key.expired'],
  ...['provider.disabled', 'provider.deleted'],
])

/** From a few milliseconds to the leases that bound it where nothing is acknowledged. */
const bounds = [...[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5], ...[1, 2, 5, 15, 60, 180, 360, 900]]

/** Looked back at, at most: with more than these unacknowledged, the oldest of them counts. */
const keptEvents = 1000

/** A loss of access that an instance has acknowledged. */
export type Revoked = { revision: number; kind: string; at: Date; ms: number }

/** How far an instance is behind: since the change at `since`, and by so many revisions. */
export type Behind = { revisions: number; since: Date }

export class Revocations {
  readonly seconds = new Histogram(bounds)
  #epoch: string | null = null
  #upTo = 0
  /** Events that concern anybody, in their order. */
  #recent: Found[] = []

  /** Of the newest event that was looked at. */
  get upTo(): number {
    return this.#upTo
  }

  looked(epoch: string, revision: number, events: readonly Found[]): void {
    // Numbers of two epochs do not compare.
    if (this.#epoch !== epoch) this.#recent = []
    this.#epoch = epoch
    this.#upTo = revision
    const felt = events.filter(({ destinations }) => destinations?.size !== 0)
    if (felt.length > 0) this.#recent = [...this.#recent, ...felt].slice(-keptEvents)
  }

  /** What took access away at a destination after one revision. */
  takenAfter(destinationId: string, revision: number): Found[] {
    return this.#after(destinationId, revision).filter(({ kind }) => takingKinds.has(kind))
  }

  /** Counts one that was acknowledged. */
  acknowledged({ number, kind, at }: Found, acknowledgedAt: Date): Revoked {
    // Another server's clock may be ahead of ours.
    const ms = Math.max(0, acknowledgedAt.getTime() - at.getTime())
    this.seconds.observe(ms / 1000)
    return { revision: number, kind, at, ms }
  }

  /** Null: everything that concerns the destination is in `revision`. */
  behind(destinationId: string, revision: number): Behind | null {
    const missing = this.#after(destinationId, revision)
    const [oldest, newest] = [missing[0], missing.at(-1)]
    return oldest && newest ? { revisions: newest.number - revision, since: oldest.at } : null
  }

  /** From the newest on backwards: whoever is current costs nothing. */
  #after(destinationId: string, revision: number): Found[] {
    const first = this.#recent.findLastIndex(({ number }) => number <= revision) + 1
    return this.#recent
      .slice(first)
      .filter(({ destinations }) => destinations?.has(destinationId) ?? true)
  }
}
