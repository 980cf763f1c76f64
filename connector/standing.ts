/** What Access says of one user: a function of values, which knows no clock and no lease. */
import type { Access, AccessGrant } from '../src/wire/access.ts'
import { grantGroup, memberGroup, stands } from '../src/wire/access.ts'

/** Nobody may be let in, whatever Access says. `since` is in ms of server time, where known. */
export type NoLease = { kind: 'no-lease'; since: number | null; why: string }

export type Standing =
  | {
      kind: 'stands'
      email: string
      userId: string
      /** What the user is impersonated with: sorted, each once. */
      groups: string[]
      /** The earliest expiry of a grant that counts, in ms of server time; null: none expires. */
      until: number | null
    }
  | NoLease
  | { kind: 'ended' }
  | { kind: 'unknown-user' }
  | { kind: 'no-grant' }

/** Access by what is asked of it, so that a request costs its user's own grants and no more. */
export type Index = {
  users: Map<string, { email: string; groups: string[] }>
  groups: Map<string, string>
  userGrants: Map<string, AccessGrant[]>
  groupGrants: Map<string, AccessGrant[]>
  endedSessions: Set<string>
  /** Ascending. */
  expiries: number[]
}

export function indexOf(access: Access): Index {
  const ofKind = (kind: 'user' | 'group') =>
    Map.groupBy(
      access.grants.filter(({ subject }) => subject.kind === kind),
      ({ subject }) => subject.id,
    )
  return {
    users: new Map(access.users.map((user) => [user.id, user])),
    groups: new Map(access.groups.map(({ id, name }) => [id, name])),
    userGrants: ofKind('user'),
    groupGrants: ofKind('group'),
    endedSessions: new Set(access.endedSessions),
    expiries: access.grants
      .flatMap(({ expiresAt }) => (expiresAt === null ? [] : Date.parse(expiresAt)))
      .toSorted((a, b) => a - b),
  }
}

/** What the grants say of a user at `now`, in ms of server time. */
export function judge(index: Index, userId: string, sessionId: string, now: number): Standing {
  if (index.endedSessions.has(sessionId)) return { kind: 'ended' }
  const user = index.users.get(userId)
  if (!user) return { kind: 'unknown-user' }
  const standing = (grants: AccessGrant[] | undefined) =>
    (grants ?? []).filter((grant) => stands(grant, now))
  const groups = new Set<string>()
  const counted = standing(index.userGrants.get(userId))
  for (const id of user.groups) {
    const grants = standing(index.groupGrants.get(id))
    const name = index.groups.get(id)
    // A group counts by a grant that stands, and not by having had one.
    if (grants.length === 0 || name === undefined) continue
    groups.add(memberGroup(name))
    counted.push(...grants)
  }
  if (counted.length === 0) return { kind: 'no-grant' }
  for (const grant of counted) groups.add(grantGroup(grant))
  return {
    kind: 'stands',
    email: user.email,
    userId,
    groups: [...groups].toSorted(),
    until: earliest(counted),
  }
}

function earliest(grants: AccessGrant[]): number | null {
  const expiries = grants.flatMap(({ expiresAt }) => (expiresAt ? [Date.parse(expiresAt)] : []))
  return expiries.length === 0 ? null : Math.min(...expiries)
}
