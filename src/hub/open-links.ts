/** The links that are open, by destination, and whether the key that each came with still stands. */
import { and, gt, isNull, or } from 'drizzle-orm'
import { anyOf } from '../db/any-of.ts'
import type { Database } from '../db/database.ts'
import { accessKeys } from '../db/schema.ts'
import type { Link } from './link.ts'

export class OpenLinks {
  readonly #links = new Map<string, Set<Link>>()
  /** Whose key was not looked at since they came. */
  readonly #unchecked = new Set<Link>()

  add(link: Link): void {
    const here = this.#links.get(link.destinationId) ?? new Set()
    this.#links.set(link.destinationId, here.add(link))
    this.#unchecked.add(link)
  }

  remove(link: Link): void {
    const here = this.#links.get(link.destinationId)
    here?.delete(link)
    if (here?.size === 0) this.#links.delete(link.destinationId)
    this.#unchecked.delete(link)
  }

  /** How many destinations are linked. */
  get size(): number {
    return this.#links.size
  }

  isAt(destinationId: string): boolean {
    return this.#links.has(destinationId)
  }

  /** Null: all of them. */
  at(destinationIds: string[] | null): Link[] {
    const sets = destinationIds?.map((id) => this.#links.get(id) ?? []) ?? this.#links.values()
    return [...sets].flatMap((links) => [...links])
  }

  /** Who said hello and whose key was not looked at: its end may have been before they came. */
  get arrived(): Link[] {
    return [...this.#unchecked].filter((link) => link.hasGreeted)
  }

  /** Closes those whose access key was revoked, has run out, or went with its destination. */
  async checkKeys(db: Database, links: Link[], now: Date): Promise<void> {
    if (links.length === 0) return
    const live = await db
      .select({ id: accessKeys.id, expiresAt: accessKeys.expiresAt })
      .from(accessKeys)
      .where(
        and(
          anyOf(accessKeys.id, new Set(links.map((link) => link.keyId))),
          isNull(accessKeys.endedAt),
          or(isNull(accessKeys.expiresAt), gt(accessKeys.expiresAt, now)),
        ),
      )
    const ends = new Map(live.map(({ id, expiresAt }) => [id, expiresAt]))
    for (const link of links) {
      link.keyStands(ends.get(link.keyId))
      this.#unchecked.delete(link)
    }
  }
}
