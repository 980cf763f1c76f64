/**
 * The newest Access that this connector was told, how old it is, and what it says of a user.
 *
 * The rule that holds it together: only knowledge lets anybody in. Access that was not renewed
 * within its lease is no access, whatever it once said; and whatever makes its age doubtful makes
 * it stale.
 */
import type { Access, AccessHead, Delta } from '../src/wire/access.ts'
import { differs } from '../src/wire/ledger.ts'
import type { Beat, Unchanged } from '../src/wire/link.ts'
import type { Clock } from './clock.ts'
import { Directory, type RoleInUse } from './directory.ts'
import type { NoLease, Standing } from './standing.ts'

export type { Standing }

/** Slewing and the odd leap second stay far below; a machine that slept, or was set, does not. */
const tolerableJumpMs = 30_000

export class HeldAccess {
  readonly #clock: Clock
  readonly #changed: (() => void)[] = []
  #head: AccessHead | null = null
  #directory: Directory | null = null
  /** The revision that whom it lets in was told at; beats move that of the head on. */
  #toldAt = 0
  /** `elapsed` when the ping was sent that renewed the lease last. */
  #renewedAt: number | null = null
  /** Server time less `elapsed`. */
  #serverOffset: number | null = null
  /** The wall clock less `elapsed`, as it was when the lease was renewed. */
  #wallOffset: number
  /** `elapsed` when the wall clock was last found to have jumped. */
  #jumpedAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
    this.#wallOffset = clock.wall() - clock.elapsed()
  }

  /**
   * Holds `access` from now on. An older revision of the same epoch is ignored: what was taken away
   * does not come back by a message that was late. Another epoch is always taken, since revisions
   * of two epochs do not compare. It renews no lease: when it was read is not known.
   */
  take(access: Access): boolean {
    if (this.#isOlder(access)) return false
    const { users: _, groups: _g, grants: _r, ...head } = access
    this.#hold(head, new Directory(access))
    return true
  }

  /**
   * Holds what `delta` makes of Access from now on; an older one is ignored like older Access.
   *
   * @throws when it was made for Access that is newer than what is held: something was missed.
   */
  change(delta: Delta): boolean {
    const [head, directory] = [this.#head, this.#directory]
    if (!head || !directory || head.epoch !== delta.epoch || head.revision < delta.since) {
      throw new Error('a delta does not follow what is held')
    }
    if (this.#isOlder(delta)) return false
    directory.change(delta)
    this.#hold({ ...head, revision: delta.revision }, directory)
    return true
  }

  /** Lets nobody in any more, whatever it held. */
  empty(): void {
    if (!this.#head) return
    const nobody = { users: [], groups: [], grants: [] }
    this.#hold(this.#head, new Directory({ ...this.#head, ...nobody }))
  }

  /**
   * Renews the lease, counted from when the ping was sent: the server may have read its tables
   * right then. Renews nothing when the beat is about Access that is not the one held, word for
   * word (the digest), or when the clock jumped after the ping was sent, because then nobody knows
   * how long ago that was.
   */
  renew(beat: Unchanged | Beat, sentAt: number): boolean {
    const held = this.#head
    this.#noticeJump()
    if (!held || held.epoch !== beat.epoch || held.revision < beat.since) return false
    if ('digest' in beat && this.#isOther(beat)) return false
    if (sentAt <= this.#jumpedAt || sentAt > this.#clock.elapsed()) return false
    this.#head = { ...held, revision: Math.max(held.revision, beat.revision) }
    this.#renewedAt = Math.max(this.#renewedAt ?? sentAt, sentAt)
    this.#setClocks(Date.parse(beat.at), sentAt)
    this.#tell()
    return true
  }

  get current(): AccessHead | null {
    return this.#head
  }

  /** Of all that is held; null: nothing is. */
  get digest(): string | null {
    return this.#directory?.digest ?? null
  }

  /** The roles that grants in force give, each once; null before the first beat. */
  rolesInUse(): RoleInUse[] | null {
    const now = this.now()
    return now === null ? null : (this.#directory?.rolesInUse(now) ?? null)
  }

  /** In ms of `elapsed`; null: never renewed. */
  get leaseEndsAt(): number | null {
    if (this.#renewedAt === null || !this.#head) return null
    return this.#renewedAt + this.#head.leaseSeconds * 1000
  }

  /** Server time in ms; null before the first beat. */
  now(): number | null {
    return this.#serverOffset === null ? null : this.#clock.elapsed() + this.#serverOffset
  }

  /** Why nobody may be let in now, or null when the lease runs. */
  lapse(): NoLease | null {
    this.#noticeJump()
    const endsAt = this.leaseEndsAt
    if (this.#renewedAt === null || endsAt === null) {
      return { kind: 'no-lease', since: null, why: 'has not yet heard from its server' }
    }
    if (this.#renewedAt <= this.#jumpedAt) {
      return this.#lapsed(this.#jumpedAt, 'found its clock changed and must ask its server again')
    }
    if (this.#clock.elapsed() < endsAt) return null
    return this.#lapsed(endsAt, 'has had no word from its server for longer than its lease')
  }

  /** Whether open streams may go on: also past the lease's end, where the destination says `keep`. */
  mayKeepStreams(): boolean {
    return this.lapse() === null || this.#head?.onLeaseEnd === 'keep'
  }

  /** Who is at the door, as far as Access goes. */
  standing(userId: string, sessionId: string): Standing {
    return this.lapse() ?? this.lastStanding(userId, sessionId)
  }

  /** The same by the last that was known, lease or none: for what is open already, never to admit. */
  lastStanding(userId: string, sessionId: string): Standing {
    const now = this.now()
    if (!this.#directory || now === null) return { kind: 'unknown-user' }
    return this.#directory.judge(userId, sessionId, now)
  }

  /** The next expiry of any grant, in ms of server time. */
  nextExpiry(): number | null {
    return this.#directory?.nextExpiry(this.now() ?? 0) ?? null
  }

  /** Calls `told` whenever Access or its lease changed. */
  onChange(told: () => void): void {
    this.#changed.push(told)
  }

  #isOlder({ epoch, revision }: Pick<Access, 'epoch' | 'revision'>): boolean {
    return this.#head !== null && this.#head.epoch === epoch && revision < this.#head.revision
  }

  /** Of what came by the poll after `since`, this beat does not speak. */
  #isOther({ since, digest }: Beat): boolean {
    const held = this.#directory?.digest ?? ''
    return this.#toldAt === since && digest !== undefined && differs(held, digest)
  }

  #hold(head: AccessHead, directory: Directory): void {
    this.#head = head
    this.#directory = directory
    this.#toldAt = head.revision
    this.#tell()
  }

  #tell(): void {
    for (const told of this.#changed) told()
  }

  /** A machine that slept, or whose clock was set, can not tell how old its Access is. */
  #noticeJump(): void {
    const offset = this.#clock.wall() - this.#clock.elapsed()
    if (Math.abs(offset - this.#wallOffset) <= tolerableJumpMs) return
    this.#wallOffset = offset
    this.#jumpedAt = this.#clock.elapsed()
  }

  /** The server read its clock between ping and beat: half of the round trip is the best guess. */
  #setClocks(serverAt: number, sentAt: number): void {
    const elapsed = this.#clock.elapsed()
    this.#serverOffset = serverAt - (sentAt + elapsed) / 2
    this.#wallOffset = this.#clock.wall() - elapsed
  }

  #lapsed(at: number, why: string): NoLease {
    return { kind: 'no-lease', since: at + (this.#serverOffset ?? 0), why }
  }
}
