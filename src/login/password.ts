/**
 * Logging in by password. An unknown user, one without a password, a disabled one and a wrong
 * password get one answer after the same work: only the log tells them apart (security.md L7).
 */
import { and, eq, isNull, ne } from 'drizzle-orm'
import { type Actor, type Call, userOf } from '../call.ts'
import { destinationsOfUser } from '../concerns.ts'
import type { Database } from '../db/database.ts'
import { sessions, users } from '../db/schema.ts'
import { record } from '../events.ts'
import { countGuess, takeBackGuess } from './guesses.ts'
import { hashPassword, verifyPassword } from '../passwords.ts'
import { startSession } from '../sessions.ts'
import type { UserRow } from '../users.ts'
import { userSubject } from '../wire/access.ts'
import { Failure } from '../wire/failure.ts'
import type { PasswordLogin, StartedSession } from '../wire/login.ts'
import type { None } from '../wire/shared.ts'
import type { NewPassword } from '../wire/users.ts'

/**
 * A one-time password must be replaced by `newPassword` with the same call. Elsewhere `newPassword`
 * changes nothing, and a warning says so.
 *
 * @throws {Failure} `too_many`; `conflict` when a one-time password comes without a new one.
 */
export async function loginWithPassword(
  call: Call,
  { email, password, newPassword }: PasswordLogin,
): Promise<StartedSession> {
  const guess = { account: email, address: call.address, now: call.now }
  await countGuess(call.db, guess)
  const [found] = await call.db.select().from(users).where(eq(users.email, email.toLowerCase()))
  const isRight = await verifyPassword(found?.passwordHash ?? null, password)
  const user = letIn(found, isRight)
  await takeBackGuess(call.db, guess)
  if (user.isPasswordOneTime) return firstLogin(call, user, password, newPassword)
  const warnings =
    newPassword === undefined || newPassword === password
      ? []
      : ['the password stays as it is: it was no one-time password']
  return call.db.transaction(async (tx) => {
    await lockUnchanged(tx, user)
    const started = await startSession(tx, { ...call, user, providerId: null })
    return toWire(started, user, warnings)
  })
}

/**
 * Changes one's own password. Every other session of the user ends, for a password is often changed
 * because somebody else may know it; access keys stay.
 *
 * @throws {Failure} `forbidden` when the old password is wrong: the caller is known, so it is not
 * `unauthenticated`, after which a CLI would forget its session; `too_many`; `invalid`.
 */
export async function changePassword(
  call: Call,
  { oldPassword, newPassword }: NewPassword,
): Promise<None> {
  const { id, email, credential } = userOf(call)
  const guess = { account: email, address: call.address, now: call.now }
  await countGuess(call.db, guess)
  const [user] = await call.db.select().from(users).where(eq(users.id, id))
  const isRight = await verifyPassword(user?.passwordHash ?? null, oldPassword)
  if (!user || !isRight) throw new Failure('forbidden', 'the old password is wrong')
  await takeBackGuess(call.db, guess)
  const hashed = await hashNew(newPassword, oldPassword)
  await call.db.transaction(async (tx) => {
    await lockUnchanged(tx, user)
    await setPassword(tx, { user, hashed, now: call.now, actor: call.actor, keep: credential.id })
  })
  return {}
}

async function firstLogin(
  call: Call,
  user: UserRow,
  password: string,
  newPassword: string | undefined,
): Promise<StartedSession> {
  if (newPassword === undefined) throw new Failure('conflict', 'a new password must be set')
  const hashed = await hashNew(newPassword, password)
  const { now } = call
  return call.db.transaction(async (tx) => {
    await lockUnchanged(tx, user)
    const started = await startSession(tx, { ...call, user, providerId: null })
    const { session: id, expiresAt } = started
    const credential = { kind: 'session', id, expiresAt } as const
    const actor: Actor = { ...user, kind: 'user', credential }
    await setPassword(tx, { user, hashed, now, actor, keep: id })
    return toWire(started, user, [])
  })
}

/** The user, or the one refusal; `why` goes to the log. */
function letIn(user: UserRow | undefined, isRight: boolean): UserRow {
  if (user && isRight && user.disabledAt === null) return user
  throw wrong(whyNot(user, isRight))
}

/** The e-mail of an unknown user is not logged: people type passwords into the wrong field. */
function whyNot(user: UserRow | undefined, isRight: boolean): string {
  if (!user) return 'unknown user'
  if (user.passwordHash === null) return `user ${user.id} has no password`
  return isRight ? `user ${user.id} is disabled` : `wrong password for user ${user.id}`
}

function wrong(why: string): Failure {
  return new Failure('unauthenticated', 'wrong e-mail or password', { cause: new Error(why) })
}

async function hashNew(newPassword: string, oldPassword: string): Promise<string> {
  if (newPassword !== oldPassword) return hashPassword(newPassword)
  throw new Failure('invalid', 'newPassword: must be another one than before')
}

/**
 * Locks the user and looks again: since the password was verified the user may have been disabled,
 * or the one-time password used by somebody else.
 */
async function lockUnchanged(tx: Database, { id, passwordHash }: UserRow): Promise<void> {
  const [now] = await tx.select().from(users).where(eq(users.id, id)).for('update')
  letIn(now, now !== undefined && now.passwordHash === passwordHash)
}

async function setPassword(
  tx: Database,
  {
    user,
    hashed,
    now,
    actor,
    keep,
  }: {
    user: UserRow
    hashed: string
    now: Date
    actor: Actor
    /** The session that stays; every other one ends. */
    keep: string
  },
): Promise<void> {
  const changed = { passwordHash: hashed, isPasswordOneTime: false }
  await tx.update(users).set(changed).where(eq(users.id, user.id))
  const isOther = and(eq(sessions.userId, user.id), ne(sessions.id, keep), isNull(sessions.endedAt))
  const ended = await tx
    .update(sessions)
    .set({ endedAt: now })
    .where(isOther)
    .returning({ id: sessions.id })
  const destinations = ended.length > 0 ? await destinationsOfUser(tx, user.id) : []
  await record(tx, actor, now, {
    kind: 'user.password_changed',
    detail: { user: { id: user.id, email: user.email }, endedSessions: ended.length },
    destinations,
    subjects: [userSubject(user.id)],
  })
}

function toWire(
  started: { session: string; credential: string; expiresAt: Date },
  { id, email, isAdmin }: UserRow,
  warnings: string[],
): StartedSession {
  const expiresAt = started.expiresAt.toISOString()
  return { ...started, user: { id, email, admin: isAdmin }, expiresAt, warnings }
}
