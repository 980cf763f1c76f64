/**
 * Which destinations a change concerns. Asked inside the transaction of the change, before a
 * deletion takes the rows that would tell: the hub looks again only where an event points.
 */
import { and, eq, inArray, isNull, or } from 'drizzle-orm'
import type { Database } from './db/database.ts'
import { grants, groups, memberships, sessions } from './db/schema.ts'

/** Where a user has a grant, directly or by a group. */
export async function destinationsOfUser(tx: Database, userId: string): Promise<string[]> {
  const groupsOfUser = tx
    .select({ id: memberships.groupId })
    .from(memberships)
    .where(eq(memberships.userId, userId))
  const rows = await tx
    .selectDistinct({ id: grants.destinationId })
    .from(grants)
    .where(or(eq(grants.userId, userId), inArray(grants.groupId, groupsOfUser)))
  return rows.map((row) => row.id)
}

/** Where any of these groups has a grant. */
export async function destinationsOfGroups(tx: Database, groupIds: string[]): Promise<string[]> {
  if (groupIds.length === 0) return []
  const rows = await tx
    .selectDistinct({ id: grants.destinationId })
    .from(grants)
    .where(inArray(grants.groupId, groupIds))
  return rows.map((row) => row.id)
}

/** Where a session that came in by a provider, or a group followed from it, lets somebody in. */
export async function destinationsOfProvider(tx: Database, providerId: string): Promise<string[]> {
  const followed = tx
    .select({ id: groups.id })
    .from(groups)
    .where(eq(groups.providerId, providerId))
  const cameIn = tx
    .select({ id: sessions.userId })
    .from(sessions)
    .where(and(eq(sessions.providerId, providerId), isNull(sessions.endedAt)))
  const groupsOfThem = tx
    .select({ id: memberships.groupId })
    .from(memberships)
    .where(inArray(memberships.userId, cameIn))
  const rows = await tx
    .selectDistinct({ id: grants.destinationId })
    .from(grants)
    .where(
      or(
        inArray(grants.userId, cameIn),
        inArray(grants.groupId, followed),
        inArray(grants.groupId, groupsOfThem),
      ),
    )
  return rows.map((row) => row.id)
}
