/** Users: who is known, who administrates, who is disabled. */
import { and, asc, eq, isNull, or } from 'drizzle-orm'
import type { Call } from './call.ts'
import { destinationsOfGroups, destinationsOfUser, grantedTo, groupsOfUser } from './concerns.ts'
import { newId } from './credential.ts'
import type { Database } from './db/database.ts'
import { groups, memberships, sessions, users } from './db/schema.ts'
import { newest, record } from './events.ts'
import { hashPassword, oneTimePassword } from './passwords.ts'
import { userSubject } from './wire/access.ts'
import { Failure } from './wire/failure.ts'
import type { Changed } from './wire/shared.ts'
import type { CreatedUser, EditedUser, User, UserEdit, UserRef } from './wire/users.ts'

export type UserRow = typeof users.$inferSelect

export async function listUsers({ db }: Call): Promise<User[]> {
  const rows = await db.select().from(users).orderBy(asc(users.email))
  const belonging = await db
    .select({ userId: memberships.userId, name: groups.name })
    .from(memberships)
    .innerJoin(groups, eq(groups.id, memberships.groupId))
    .orderBy(asc(groups.name))
  const namesOf = Map.groupBy(belonging, (row) => row.userId)
  return rows.map((row) => toWire(row, namesOf.get(row.id)?.map(({ name }) => name) ?? []))
}

/**
 * Makes a user with a one-time password, which the reply alone shows and the first login replaces.
 *
 * @throws {Failure} `conflict` when the e-mail is taken.
 */
export async function createUser(
  { db, actor, now }: Call,
  { email, admin }: { email: string; admin: boolean },
): Promise<CreatedUser> {
  const password = oneTimePassword()
  const passwordHash = await hashPassword(password)
  return db.transaction(async (tx) => {
    const [row] = await tx
      .insert(users)
      .values({
        id: newId(),
        email,
        isAdmin: admin,
        passwordHash,
        isPasswordOneTime: true,
        createdAt: now,
      })
      .returning()
    if (!row) throw new Error('a user was not written')
    const detail = { user: { id: row.id, email }, admin }
    const revision = await record(tx, actor, now, {
      kind: 'user.created',
      detail,
      destinations: [],
    })
    return { ...toWire(row, []), password, revision }
  })
}

/**
 * Changes what is given and nothing else; each change is an event of its own. A user who is
 * disabled loses every session, so that enabling revives none.
 *
 * @throws {Failure} `not_found`; `conflict` when nobody would be left to administrate.
 */
export async function updateUser(call: Call, edit: UserEdit): Promise<EditedUser> {
  const password = edit.resetPassword ? oneTimePassword() : null
  const passwordHash = password === null ? null : await hashPassword(password)
  return call.db.transaction(async (tx) => {
    const found = await findUser(tx, edit.user)
    if (edit.admin === false || edit.disabled === true) await keepAnAdministrator(tx, found)
    const user = await lockUser(tx, found)
    const change = changeOf(user, edit, call.now)
    const fields = { ...change, ...(passwordHash ? { passwordHash, isPasswordOneTime: true } : {}) }
    if (Object.keys(fields).length > 0) {
      await tx.update(users).set(fields).where(eq(users.id, user.id))
    }
    if (change.disabledAt) await endSessionsOf(tx, user.id, call.now)
    const changed = await recordEdit(tx, call, user, edit, change)
    const names = await groupNamesOf(tx, user.id)
    return { ...toWire({ ...user, ...fields }, names), password, ...changed }
  })
}

/** @throws {Failure} `not_found`; `conflict` when nobody would be left to administrate. */
export async function deleteUser(
  { db, actor, now }: Call,
  { user: ref }: UserRef,
): Promise<Changed> {
  return db.transaction(async (tx) => {
    const found = await findUser(tx, ref)
    await keepAnAdministrator(tx, found)
    const user = await lockUser(tx, found)
    const own = await grantedTo(tx, { userIds: [user.id] })
    const groupIds = await groupsOfUser(tx, user.id)
    await tx.delete(users).where(eq(users.id, user.id))
    const destinations = [...new Set([...own, ...(await destinationsOfGroups(tx, groupIds))])]
    const detail = { user: { id: user.id, email: user.email } }
    const subjects = [userSubject(user.id)]
    const happening = { kind: 'user.deleted', detail, destinations, subjects }
    return { revision: await record(tx, actor, now, happening), destinations }
  })
}

/**
 * A user by id or by e-mail.
 *
 * @throws {Failure} `not_found`
 */
export async function findUser(tx: Database, ref: string): Promise<UserRow> {
  const [row] = await tx
    .select()
    .from(users)
    .where(or(eq(users.id, ref), eq(users.email, ref.toLowerCase())))
  if (!row) throw new Failure('not_found', `there is no user ${JSON.stringify(ref)}`)
  return row
}

export async function groupNamesOf(tx: Database, userId: string): Promise<string[]> {
  const rows = await tx
    .select({ name: groups.name })
    .from(memberships)
    .innerJoin(groups, eq(groups.id, memberships.groupId))
    .where(eq(memberships.userId, userId))
    .orderBy(asc(groups.name))
  return rows.map((row) => row.name)
}

type Change = { isAdmin?: boolean; disabledAt?: Date | null }

/** What of `edit` differs from how the user stands: asking twice changes and records nothing. */
function changeOf(user: UserRow, edit: UserEdit, now: Date): Change {
  const change: Change = {}
  if (edit.admin !== undefined && edit.admin !== user.isAdmin) change.isAdmin = edit.admin
  if (edit.disabled === true && user.disabledAt === null) change.disabledAt = now
  if (edit.disabled === false && user.disabledAt !== null) change.disabledAt = null
  return change
}

async function recordEdit(
  tx: Database,
  { actor, now }: Call,
  user: UserRow,
  edit: UserEdit,
  change: Change,
): Promise<Changed> {
  const named = { user: { id: user.id, email: user.email } }
  const isStanding = change.disabledAt !== undefined
  // What changed nothing concerns whom it would have concerned: enforced is it all the same.
  const destinations =
    isStanding || edit.disabled !== undefined ? await destinationsOfUser(tx, user.id) : []
  let revision = await newest(tx)
  if (isStanding) {
    const kind = change.disabledAt === null ? 'user.enabled' : 'user.disabled'
    const subjects = [userSubject(user.id)]
    revision = await record(tx, actor, now, { kind, detail: named, destinations, subjects })
  }
  if (change.isAdmin !== undefined) {
    const detail = { ...named, admin: change.isAdmin }
    revision = await record(tx, actor, now, { kind: 'user.updated', detail, destinations: [] })
  }
  if (edit.resetPassword) {
    const kind = 'user.password_reset'
    revision = await record(tx, actor, now, { kind, detail: named, destinations: [] })
  }
  return { revision, destinations }
}

async function endSessionsOf(tx: Database, userId: string, now: Date): Promise<void> {
  await tx
    .update(sessions)
    .set({ endedAt: now })
    .where(and(eq(sessions.userId, userId), isNull(sessions.endedAt)))
}

/**
 * Refuses to lose the last administrator. All rows are locked in one order, so of two administrators
 * who remove each other at once the second finds themselves the last. Whoever leaves is among them,
 * administrator or not: locked after the others, two who each wait for the other's would be stuck.
 */
async function keepAnAdministrator(tx: Database, leaving: UserRow): Promise<void> {
  const isStanding = and(eq(users.isAdmin, true), isNull(users.disabledAt))
  const locked = await tx
    .select()
    .from(users)
    .where(or(eq(users.id, leaving.id), isStanding))
    .orderBy(asc(users.id))
    .for('update')
  const standing = locked.filter(({ isAdmin, disabledAt }) => isAdmin && disabledAt === null)
  if (!standing.some(({ id }) => id === leaving.id)) return
  if (standing.length > 1) return
  throw new Failure('conflict', `${leaving.email} is the last administrator`)
}

/**
 * The user as they are now, until the end of the transaction: nobody else changes them, or gives
 * them anything. Administrators are locked before, in one order.
 */
async function lockUser(tx: Database, { id, email }: UserRow): Promise<UserRow> {
  const [row] = await tx.select().from(users).where(eq(users.id, id)).for('update')
  if (!row) throw new Failure('not_found', `there is no user ${JSON.stringify(email)}`)
  return row
}

function toWire(row: UserRow, groupNames: string[]): User {
  return {
    id: row.id,
    email: row.email,
    admin: row.isAdmin,
    disabled: row.disabledAt !== null,
    groups: groupNames,
    createdAt: row.createdAt.toISOString(),
    lastLoginAt: row.lastLoginAt?.toISOString() ?? null,
  }
}
