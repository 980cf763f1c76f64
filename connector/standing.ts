/** What Access says of one user: a function of values, which knows no clock and no lease. */
import type { AccessGrant } from '../src/wire/access.ts'
import { grantGroup, memberGroup, stands } from '../src/wire/access.ts'

/** Nobody may be let in, whatever Access says. `since` is in ms of server time, where known. */
export type NoLease = { kind: 'no-lease'; since: number | null; why: string }

export type Standing =
  | {
      kind: 'stands'
      email: string
      userId: string
      /** What the user is impersonated with: sorted, each once. */
      groups: readonly string[]
      /** The earliest expiry of a grant that counts, in ms of server time; null: none expires. */
      until: number | null
    }
  | NoLease
  | { kind: 'ended' }
  | { kind: 'unknown-user' }
  | { kind: 'no-grant' }

/** A user, their grants, and those of their groups. */
export type Held = {
  userId: string
  email: string
  own: AccessGrant[]
  groups: { name: string; grants: AccessGrant[] }[]
}

/** What the grants of a user say at `now`, in ms of server time. */
export function judge({ userId, email, own, groups }: Held, now: number): Standing {
  const standing = (grants: AccessGrant[]) => grants.filter((grant) => stands(grant, now))
  const counted = standing(own)
  const names = new Set<string>()
  for (const group of groups) {
    const grants = standing(group.grants)
    // A group counts by a grant that stands, and not by having had one.
    if (grants.length === 0) continue
    names.add(memberGroup(group.name))
    counted.push(...grants)
  }
  if (counted.length === 0) return { kind: 'no-grant' }
  for (const grant of counted) names.add(grantGroup(grant))
  return { kind: 'stands', email, userId, groups: [...names].toSorted(), until: earliest(counted) }
}

function earliest(grants: AccessGrant[]): number | null {
  const expiries = grants.flatMap(({ expiresAt }) => (expiresAt ? [Date.parse(expiresAt)] : []))
  return expiries.length === 0 ? null : Math.min(...expiries)
}
