/**
 * The streams a connector holds open: every request from the door to its end, `get` as well as
 * `watch`, so that nobody must tell them apart.
 */
import type { HeldAccess } from './access.ts'

export type Stream = {
  userId: string
  sessionId: string
  /** What it was impersonated with. */
  groups: readonly string[]
  /** Closes both of its connections. */
  sever(reason: string): void
}

/**
 * A stream is severed when any group it was impersonated with is gone, even if another would still
 * let it in: that other may not allow what this stream is doing. Whoever is still welcome can
 * knock again. A grant given twice, or prolonged, changes no group and severs nothing.
 */
export class Streams {
  readonly #open = new Set<Stream>()
  readonly #perUser = new Map<string, number>()

  get count(): number {
    return this.#open.size
  }

  countOf(userId: string): number {
    return this.#perUser.get(userId) ?? 0
  }

  /** Holds `stream` until the returned function is called, which must be when it ends. */
  hold(stream: Stream): () => void {
    this.#open.add(stream)
    this.#perUser.set(stream.userId, this.countOf(stream.userId) + 1)
    return () => this.#release(stream)
  }

  /**
   * Severs what `access` no longer lets in, and says how many streams that was: each one a
   * connection that its caller sees close, counted once and never after it had ended by itself.
   */
  recheck(access: HeldAccess): number {
    const lapse = access.mayKeepStreams() ? null : access.lapse()
    if (lapse) return this.severAll(`the connector ${lapse.why}`)
    const groupsOf = standingGroups(access)
    return this.#sever('access revoked', (stream) => !isCovered(stream, groupsOf(stream)))
  }

  severAll(reason: string): number {
    return this.#sever(reason, () => true)
  }

  #sever(reason: string, isLost: (stream: Stream) => boolean): number {
    const lost = [...this.#open].filter(isLost)
    for (const stream of lost) {
      this.#release(stream)
      stream.sever(reason)
    }
    return lost.length
  }

  #release(stream: Stream): void {
    if (!this.#open.delete(stream)) return
    const left = this.countOf(stream.userId) - 1
    if (left > 0) this.#perUser.set(stream.userId, left)
    else this.#perUser.delete(stream.userId)
  }
}

/**
 * Whether what a stream was impersonated with is still given. `every` is true of none, and a
 * stream that names no group must not live for ever.
 */
export function isCovered({ groups }: Pick<Stream, 'groups'>, given: Set<string>): boolean {
  return groups.length > 0 && groups.every((group) => given.has(group))
}

/** The groups that each user of a session has now: asked once however many streams they hold. */
function standingGroups(access: HeldAccess): (stream: Stream) => Set<string> {
  const known = new Map<string, Set<string>>()
  return ({ userId, sessionId }) => {
    const key = `${userId} ${sessionId}`
    const seen = known.get(key)
    if (seen) return seen
    const standing = access.lastStanding(userId, sessionId)
    const groups = new Set(standing.kind === 'stands' ? standing.groups : [])
    known.set(key, groups)
    return groups
  }
}
