/** Groups: made here, or followed from a provider at each login. */
import { and, asc, eq, inArray, or } from 'drizzle-orm'
import type { Actor, Call } from './call.ts'
import { destinationsOfGroups, grantedTo } from './concerns.ts'
import { newId } from './credential.ts'
import type { Database } from './db/database.ts'
import { groups, memberships, providers, users } from './db/schema.ts'
import { record } from './events.ts'
import { findUser } from './users.ts'
import { userSubject } from './wire/access.ts'
import { Failure } from './wire/failure.ts'
import type { CreatedGroup, Group, GroupRef, Membership, NewGroup } from './wire/groups.ts'
import { GroupName } from './wire/names.ts'
import type { Changed } from './wire/shared.ts'

export type GroupRow = typeof groups.$inferSelect

/** How many groups of one person are followed: a provider must not grow our tables without end. */
const maxFollowed = 1000

export async function listGroups({ db }: Call): Promise<Group[]> {
  const rows = await db
    .select({ group: groups, provider: providers.name })
    .from(groups)
    .leftJoin(providers, eq(providers.id, groups.providerId))
    .orderBy(asc(groups.name))
  const members = await db
    .select({ groupId: memberships.groupId, email: users.email })
    .from(memberships)
    .innerJoin(users, eq(users.id, memberships.userId))
    .orderBy(asc(users.email))
  const membersOf = Map.groupBy(members, (row) => row.groupId)
  return rows.map(({ group, provider }) =>
    toWire(group, provider, membersOf.get(group.id)?.map(({ email }) => email) ?? []),
  )
}

/** @throws {Failure} `conflict` when the name is taken. */
export async function createGroup(
  { db, actor, now }: Call,
  { name }: NewGroup,
): Promise<CreatedGroup> {
  return db.transaction(async (tx) => {
    const [row] = await tx.insert(groups).values({ id: newId(), name, createdAt: now }).returning()
    if (!row) throw new Error('a group was not written')
    const detail = { group: { id: row.id, name } }
    const revision = await record(tx, actor, now, {
      kind: 'group.created',
      detail,
      destinations: [],
    })
    return { ...toWire(row, null, []), revision }
  })
}

/** Takes the group's grants with it. @throws {Failure} `not_found` */
export async function deleteGroup(
  { db, actor, now }: Call,
  { group: ref }: GroupRef,
): Promise<Changed> {
  return db.transaction(async (tx) => {
    const found = await findGroup(tx, ref)
    // Locked, so that nothing is granted to it between here and its end.
    const [group] = await tx.select().from(groups).where(eq(groups.id, found.id)).for('update')
    if (!group) throw new Failure('not_found', `there is no group ${JSON.stringify(ref)}`)
    const destinations = await grantedTo(tx, { groupIds: [group.id] })
    await tx.delete(groups).where(eq(groups.id, group.id))
    const detail = { group: { id: group.id, name: group.name } }
    const happening = { kind: 'group.deleted', detail, destinations }
    return { revision: await record(tx, actor, now, happening), destinations }
  })
}

/** @throws {Failure} `not_found`; `conflict` when a member already, or the group is followed. */
export async function addMember(call: Call, words: Membership): Promise<Changed> {
  return changeMembership(call, words, 'group.member_added', async (tx, groupId, userId) => {
    const added = await tx
      .insert(memberships)
      .values({ groupId, userId })
      .onConflictDoNothing()
      .returning()
    if (added.length === 0) throw new Failure('conflict', `${words.user} is a member already`)
  })
}

/** @throws {Failure} `not_found`; `conflict` when the group is followed from a provider. */
export async function removeMember(call: Call, words: Membership): Promise<Changed> {
  return changeMembership(call, words, 'group.member_removed', async (tx, groupId, userId) => {
    const gone = await tx
      .delete(memberships)
      .where(and(eq(memberships.groupId, groupId), eq(memberships.userId, userId)))
      .returning()
    if (gone.length === 0) throw new Failure('not_found', `${words.user} is not a member`)
  })
}

/**
 * Makes the groups that a provider says of a person the groups that the person has from it. Groups
 * from elsewhere stay as they are. Names that are reserved or cannot become a header are left out
 * with a warning, and the login goes on.
 */
export async function followGroups(
  tx: Database,
  follow: {
    actor: Actor
    now: Date
    userId: string
    provider: { id: string; name: string }
    names: string[]
  },
): Promise<{ warnings: string[]; changed: boolean }> {
  const { provider, userId } = follow
  const { usable, warnings } = usableNames(provider.name, follow.names)
  const had = await tx
    .select({ id: groups.id, name: groups.name })
    .from(memberships)
    .innerJoin(groups, eq(groups.id, memberships.groupId))
    .where(and(eq(memberships.userId, userId), eq(groups.providerId, provider.id)))
  const left = had.filter(({ name }) => !usable.includes(name))
  const joined = usable.filter((name) => !had.some((group) => group.name === name))
  if (left.length === 0 && joined.length === 0) return { warnings, changed: false }

  const entered = await followedGroups(tx, provider.id, joined, follow.now)
  await changeFollowed(tx, userId, entered, left)
  const destinations = await destinationsOfGroups(
    tx,
    [...entered, ...left].map(({ id }) => id),
  )
  const user = await findUser(tx, userId)
  await record(tx, follow.actor, follow.now, {
    kind: 'user.groups_followed',
    detail: {
      user: { id: user.id, email: user.email },
      provider: provider.name,
      joined,
      left: left.map(({ name }) => name),
    },
    destinations,
    subjects: [userSubject(userId)],
  })
  return { warnings, changed: true }
}

/** A group by id or by name. @throws {Failure} `not_found` */
export async function findGroup(tx: Database, ref: string): Promise<GroupRow> {
  const [row] = await tx
    .select()
    .from(groups)
    .where(or(eq(groups.id, ref), eq(groups.name, ref)))
  if (!row) throw new Failure('not_found', `there is no group ${JSON.stringify(ref)}`)
  return row
}

/**
 * The group that a grant is for. A provider's group may be granted to before anybody came in with
 * it: `PROVIDER/NAME` is made then, empty, when there is such a provider.
 *
 * @throws {Failure} `not_found`
 */
export async function groupForGrant(tx: Database, ref: string, now: Date): Promise<GroupRow> {
  const slash = ref.indexOf('/')
  if (slash > 0 && GroupName.safeParse(ref).success) {
    const [provider] = await tx
      .select({ id: providers.id })
      .from(providers)
      .where(eq(providers.name, ref.slice(0, slash)))
    if (provider) await followedGroups(tx, provider.id, [ref], now)
  }
  return findGroup(tx, ref)
}

async function changeMembership(
  { db, actor, now }: Call,
  words: Membership,
  kind: string,
  change: (tx: Database, groupId: string, userId: string) => Promise<void>,
): Promise<Changed> {
  return db.transaction(async (tx) => {
    const group = await findGroup(tx, words.group)
    const user = await findUser(tx, words.user)
    if (group.providerId !== null) {
      throw new Failure(
        'conflict',
        `${group.name} is followed from a provider, which alone says who belongs to it`,
      )
    }
    await change(tx, group.id, user.id)
    const detail = {
      group: { id: group.id, name: group.name },
      user: { id: user.id, email: user.email },
    }
    const destinations = await destinationsOfGroups(tx, [group.id])
    const subjects = [userSubject(user.id)]
    const happening = { kind, detail, destinations, subjects }
    return { revision: await record(tx, actor, now, happening), destinations }
  })
}

/** Splits a provider's group names into those that may be ours and warnings for the rest. */
export function usableNames(
  provider: string,
  names: string[],
): { usable: string[]; warnings: string[] } {
  const usable = new Set<string>()
  const warnings: string[] = []
  for (const name of names.slice(0, maxFollowed)) {
    const ours = `${provider}/${name}`
    if (GroupName.safeParse(ours).success && GroupName.safeParse(name).success) usable.add(ours)
    else
      warnings.push(
        `the group ${JSON.stringify(name)} is left out: its name is reserved or unusable`,
      )
  }
  if (names.length > maxFollowed) warnings.push(`only the first ${maxFollowed} groups are followed`)
  return { usable: [...usable], warnings }
}

async function followedGroups(
  tx: Database,
  providerId: string,
  names: string[],
  now: Date,
): Promise<{ id: string; name: string }[]> {
  if (names.length === 0) return []
  await tx
    .insert(groups)
    .values(names.map((name) => ({ id: newId(), name, providerId, createdAt: now })))
    .onConflictDoNothing()
  return tx
    .select({ id: groups.id, name: groups.name })
    .from(groups)
    .where(and(inArray(groups.name, names), eq(groups.providerId, providerId)))
}

async function changeFollowed(
  tx: Database,
  userId: string,
  entered: { id: string }[],
  left: { id: string }[],
): Promise<void> {
  const leftIds = left.map(({ id }) => id)
  if (leftIds.length > 0) {
    await tx
      .delete(memberships)
      .where(and(eq(memberships.userId, userId), inArray(memberships.groupId, leftIds)))
  }
  if (entered.length === 0) return
  await tx
    .insert(memberships)
    .values(entered.map(({ id }) => ({ groupId: id, userId })))
    .onConflictDoNothing()
}

function toWire(row: GroupRow, provider: string | null, members: string[]): Group {
  const { id, name } = row
  return { id, name, provider, members, createdAt: row.createdAt.toISOString() }
}
