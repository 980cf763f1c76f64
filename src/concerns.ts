/**
 * Which destinations a change concerns. Asked inside the transaction of the change, before a
 * deletion takes the rows that would tell: the hub looks again only where an event points.
 */
import { eq, inArray, or } from 'drizzle-orm'
import type { Database } from './db/database.ts'
import { grants, memberships } from './db/schema.ts'

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
