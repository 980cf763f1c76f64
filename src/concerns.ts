/**
 * Which destinations a change concerns: the hub looks again only where an event points.
 *
 * Asked after the change and under the lock of events, or a grant that is given at the same instant
 * would be seen by neither: not by this change, and that grant's own event was sent while this
 * change was not committed. What a deletion takes is read before it, with the row locked that
 * everything hangs on, so that nothing is added meanwhile.
 */
import { and, eq, inArray, isNull, or } from 'drizzle-orm'
import type { Database } from './db/database.ts'
import { grants, groups, memberships, sessions } from './db/schema.ts'
import { lockEvents } from './events.ts'

export type Concerned = { userIds?: string[]; groupIds?: string[] }

/** Where a user has a grant, directly or by a group. Takes the lock of events. */
export async function destinationsOfUser(tx: Database, userId: string): Promise<string[]> {
  return destinationsOf(tx, { userIds: [userId] })
}

/** Where any of these groups has a grant. Takes the lock of events. */
export async function destinationsOfGroups(tx: Database, groupIds: string[]): Promise<string[]> {
  return destinationsOf(tx, { groupIds })
}

/** Where any of these users, directly or by a group, or of these groups has a grant. */
export async function destinationsOf(tx: Database, concerned: Concerned): Promise<string[]> {
  await lockEvents(tx)
  return grantedTo(tx, concerned)
}

/** The same without the lock, for what is about to be deleted and is locked by its row. */
export async function grantedTo(
  tx: Database,
  { userIds = [], groupIds = [] }: Concerned,
): Promise<string[]> {
  const groupsOfUsers = tx
    .select({ id: memberships.groupId })
    .from(memberships)
    .where(inArray(memberships.userId, userIds))
  const rows = await tx
    .selectDistinct({ id: grants.destinationId })
    .from(grants)
    .where(
      or(
        inArray(grants.userId, userIds),
        inArray(grants.groupId, groupIds),
        inArray(grants.groupId, groupsOfUsers),
      ),
    )
  return rows.map((row) => row.id)
}

export async function groupsOfUser(tx: Database, userId: string): Promise<string[]> {
  const rows = await tx
    .select({ id: memberships.groupId })
    .from(memberships)
    .where(eq(memberships.userId, userId))
  return rows.map(({ id }) => id)
}

/** Who came in by a provider and is in, and the groups that are followed from it, these locked. */
export async function broughtBy(tx: Database, providerId: string): Promise<Required<Concerned>> {
  const followed = await tx
    .select({ id: groups.id })
    .from(groups)
    .where(eq(groups.providerId, providerId))
    .orderBy(groups.id)
    .for('update')
  const cameIn = await tx
    .selectDistinct({ id: sessions.userId })
    .from(sessions)
    .where(and(eq(sessions.providerId, providerId), isNull(sessions.endedAt)))
  return { userIds: cameIn.map(({ id }) => id), groupIds: followed.map(({ id }) => id) }
}
