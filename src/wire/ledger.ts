/**
 * Whether two ends hold the same Access, without comparing it: each keeps a hash of what stands for
 * each subject, and the sum of these is the digest. So a change costs what it changes, and not the
 * whole.
 *
 * The digest finds mistakes, ours and the network's. It is no proof against somebody who chooses
 * what is hashed, and nobody's access is decided by it.
 */
import { createHash } from 'node:crypto'
import type { Access, AccessGrant, AccessHead, Entries, Subject } from './access.ts'

/** What is hashed, and how: a digest of another kind says nothing to whoever does not make it. */
const kind = 'a1'
const headKey = 'head'

/** What stands for one subject, or for the head. */
type Line = [key: string, content: unknown]

export class Ledger {
  readonly #hashes = new Map<string, bigint>()
  #sum = 0n

  constructor(access: Access) {
    this.#set([headKey, headOf(access)])
    for (const line of linesOf(access)) this.#set(line)
  }

  /** Of all of Access but its revision. */
  get digest(): string {
    return `${kind}-${this.#sum.toString(16).padStart(32, '0')}`
  }

  /** Whether anything stands for `subject`. */
  knows(subject: Subject): boolean {
    return this.#hashes.has(keyOf(subject))
  }

  /** What stands for `subjects` is `entries` from now on. Says whether that changed anything. */
  change(subjects: Subject[], entries: Entries): boolean {
    const before = this.#sum
    const lines = new Map(linesOf(entries))
    for (const subject of subjects) {
      const key = keyOf(subject)
      this.#remove(key)
      if (lines.has(key)) this.#set([key, lines.get(key)])
    }
    return this.#sum !== before
  }

  #set([key, content]: Line): void {
    const hash = createHash('sha256')
      .update(JSON.stringify([key, content]))
      .digest('hex')
    const value = BigInt(`0x${hash.slice(0, 32)}`)
    this.#hashes.set(key, value)
    this.#sum ^= value
  }

  #remove(key: string): void {
    this.#sum ^= this.#hashes.get(key) ?? 0n
    this.#hashes.delete(key)
  }
}

/** Whether `theirs` can be told from `mine` at all, and differs from it. */
export function differs(mine: string, theirs: string): boolean {
  return theirs.startsWith(`${kind}-`) && theirs !== mine
}

function headOf(head: AccessHead): unknown[] {
  const { destination, epoch, issuer, leaseSeconds, onLeaseEnd, signingKeys } = head
  const keys = signingKeys
    .map(({ kid, x, y }): [string, ...unknown[]] => [kid, x, y])
    .toSorted(byFirst)
  return [destination.id, destination.name, epoch, issuer, leaseSeconds, onLeaseEnd, keys]
}

/** Sorted here, since the order in which a database gives rows is its own. */
function linesOf({ users, groups, grants }: Entries): Line[] {
  const grantsOf = Map.groupBy(grants, ({ subject }) => keyOf(subject))
  const held = (key: string) => (grantsOf.get(key) ?? []).map(valuesOf).toSorted(byFirst)
  return [
    ...users.map(({ id, email, groups: names, ended }): Line => {
      const key = keyOf({ kind: 'user', id })
      return [key, [email, names.toSorted(), ended.toSorted(), held(key)]]
    }),
    ...groups.map(({ id, name }): Line => {
      const key = keyOf({ kind: 'group', id })
      return [key, [name, held(key)]]
    }),
  ]
}

function valuesOf({ id, role, namespace, expiresAt }: AccessGrant): [string, ...unknown[]] {
  return [id, role, namespace, expiresAt]
}

function keyOf({ kind: subject, id }: Subject): string {
  return `${subject} ${id}`
}

/** By code units: what a locale makes of a name must not matter. */
function byFirst([a]: [string, ...unknown[]], [b]: [string, ...unknown[]]): number {
  return a < b ? -1 : Number(a > b)
}
