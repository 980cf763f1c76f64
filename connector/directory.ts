/**
 * Whom Access lets in, by what is asked of it: a request costs its user's own grants and no more,
 * and a delta what it changes. Knows no clock and no lease.
 */
import type { Access, AccessGrant, Delta, Entries, Subject } from '../src/wire/access.ts'
import { stands } from '../src/wire/access.ts'
import { Ledger } from '../src/wire/ledger.ts'
import { Expiries } from './expiries.ts'
import { judge, type Standing } from './standing.ts'

export type RoleInUse = { role: string; namespace: string | null }

type User = { email: string; groups: string[]; ended: string[] }
/** What the grants said at an instant, in ms of server time. */
type Judged = { at: number; standing: Standing }

export class Directory {
  readonly #users = new Map<string, User>()
  readonly #groups = new Map<string, string>()
  /** By subject. */
  readonly #grants = new Map<string, AccessGrant[]>()
  /** By role and namespace, and then by id. */
  readonly #roles = new Map<string, Map<string, AccessGrant>>()
  readonly #expiries = new Expiries()
  readonly #ledger: Ledger
  /** What was judged since the last change, by user. */
  readonly #judged = new Map<string, Judged>()

  constructor(access: Access) {
    this.#ledger = new Ledger(access)
    this.#add(access)
  }

  get digest(): string {
    return this.#ledger.digest
  }

  change(delta: Delta): void {
    this.#judged.clear()
    for (const subject of delta.subjects) this.#remove(subject)
    this.#add(delta)
    this.#ledger.change(delta.subjects, delta)
  }

  /** What the grants say of a user at `now`, in ms of server time. */
  judge(userId: string, sessionId: string, now: number): Standing {
    const user = this.#users.get(userId)
    if (!user) return { kind: 'unknown-user' }
    if (user.ended.includes(sessionId)) return { kind: 'ended' }
    const known = this.#judged.get(userId)
    if (known && isStill(known, now)) return known.standing
    const standing = this.#standingOf(userId, user, now)
    this.#judged.set(userId, { at: now, standing })
    return standing
  }

  #standingOf(userId: string, user: User, now: number): Standing {
    const own = this.#grants.get(keyOf({ kind: 'user', id: userId })) ?? []
    const groups = user.groups.flatMap((id) => {
      const name = this.#groups.get(id)
      const grants = this.#grants.get(keyOf({ kind: 'group', id })) ?? []
      return name === undefined ? [] : [{ name, grants }]
    })
    return judge({ userId, email: user.email, own, groups }, now)
  }

  /** The next expiry of any grant after `now`, in ms of server time. */
  nextExpiry(now: number): number | null {
    return this.#expiries.after(now)
  }

  /** Each role and each namespace that it is granted in at `now`, once. */
  rolesInUse(now: number): RoleInUse[] {
    return [...this.#roles.values()].flatMap((grants) => {
      const standing = [...grants.values()].find((grant) => stands(grant, now))
      return standing ? [{ role: standing.role, namespace: standing.namespace }] : []
    })
  }

  #add({ users, groups, grants }: Entries): void {
    for (const { id, email, groups: names, ended } of users) {
      this.#users.set(id, { email, groups: names, ended })
    }
    for (const { id, name } of groups) this.#groups.set(id, name)
    for (const grant of grants) this.#addGrant(grant)
  }

  #addGrant(grant: AccessGrant): void {
    const subject = keyOf(grant.subject)
    this.#grants.set(subject, [...(this.#grants.get(subject) ?? []), grant])
    const role = roleOf(grant)
    const alike = this.#roles.get(role) ?? new Map<string, AccessGrant>()
    this.#roles.set(role, alike.set(grant.id, grant))
    if (grant.expiresAt !== null) this.#expiries.add(Date.parse(grant.expiresAt))
  }

  #remove(subject: Subject): void {
    const key = keyOf(subject)
    for (const grant of this.#grants.get(key) ?? []) this.#removeGrant(grant)
    this.#grants.delete(key)
    if (subject.kind === 'user') this.#users.delete(subject.id)
    else this.#groups.delete(subject.id)
  }

  #removeGrant(grant: AccessGrant): void {
    const role = roleOf(grant)
    const alike = this.#roles.get(role)
    alike?.delete(grant.id)
    if (alike?.size === 0) this.#roles.delete(role)
    if (grant.expiresAt !== null) this.#expiries.remove(Date.parse(grant.expiresAt))
  }
}

/**
 * While no grant changes, what stands falls by its expiry alone. A clock that went back is no ground
 * to stand on: then it is judged anew.
 */
function isStill({ at, standing }: Judged, now: number): boolean {
  const until = standing.kind === 'stands' ? standing.until : null
  return now >= at && (until === null || now < until)
}

function keyOf({ kind, id }: Subject): string {
  return `${kind} ${id}`
}

/** Namespaces hold no `/`, so the two halves cannot run into each other. */
function roleOf({ role, namespace }: RoleInUse): string {
  return `${namespace ?? ''}/${role}`
}
