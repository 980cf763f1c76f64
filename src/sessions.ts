/** Sessions: a person logged in by a CLI or a browser. Started by `login/`, found by `admit.ts`. */
import { and, desc, eq, gt, isNull } from 'drizzle-orm'
import { type Actor, type Call, userOf } from './call.ts'
import { destinationsOfUser } from './concerns.ts'
import { formatCredential, hashSecret, newCredential } from './credential.ts'
import type { Database } from './db/database.ts'
import { providers, sessions, users } from './db/schema.ts'
import { record } from './events.ts'
import type { Settings } from './settings.ts'
import { groupNamesOf } from './users.ts'
import { userSubject } from './wire/access.ts'
import { Failure } from './wire/failure.ts'
import type { Me } from './wire/login.ts'
import type { Session } from './wire/sessions.ts'
import type { ById, Changed, None } from './wire/shared.ts'

/** Starts a session for a user whose identity was proved. The credential is shown this once. */
export async function startSession(
  tx: Database,
  {
    user,
    providerId,
    now,
    settings,
  }: {
    user: { id: string }
    providerId: string | null
    now: Date
    settings: Pick<Settings, 'sessionSeconds'>
  },
): Promise<{ session: string; credential: string; expiresAt: Date }> {
  const made = newCredential()
  const expiresAt = new Date(now.getTime() + settings.sessionSeconds * 1000)
  await tx.insert(sessions).values({
    id: made.id,
    secretHash: hashSecret(made.secret),
    userId: user.id,
    providerId,
    createdAt: now,
    lastUsedAt: now,
    expiresAt,
  })
  await tx.update(users).set({ lastLoginAt: now }).where(eq(users.id, user.id))
  return { session: made.id, credential: formatCredential(made), expiresAt }
}

export async function getMe(call: Call): Promise<Me> {
  const { id, email, isAdmin, credential } = userOf(call)
  const groups = await groupNamesOf(call.db, id)
  const user = { id, email, admin: isAdmin, groups }
  if (credential.kind === 'key') return { user, session: null }
  const [found] = await findSessions(call, eq(sessions.id, credential.id))
  if (!found) throw new Failure('unauthenticated', 'the session has ended')
  const { provider, createdAt, expiresAt } = found
  return { user, session: { id: credential.id, provider, createdAt, expiresAt } }
}

/** Ends the session that asks. @throws {Failure} `invalid` for an access key: it has none. */
export async function logout(call: Call): Promise<None> {
  const { id, credential } = userOf(call)
  if (credential.kind === 'key') {
    throw new Failure('invalid', 'an access key has no session to log out of')
  }
  // Somebody else may have ended it at this instant: ended it is.
  await call.db.transaction((tx) => end(tx, call.actor, call.now, credential.id, id))
  return {}
}

/** The live sessions: everybody's for an administrator, one's own for everybody else. */
export async function listSessions(call: Call): Promise<Session[]> {
  const { id, isAdmin } = userOf(call)
  return findSessions(call, isAdmin ? undefined : eq(sessions.userId, id))
}

/** @throws {Failure} `not_found`, also for somebody else's session that one may not see. */
export async function endSession(call: Call, { id }: ById): Promise<Changed> {
  const caller = userOf(call)
  return call.db.transaction(async (tx) => {
    const [row] = await tx
      .select()
      .from(sessions)
      .where(and(eq(sessions.id, id), isNull(sessions.endedAt)))
    if (!row || (!caller.isAdmin && row.userId !== caller.id)) {
      throw new Failure('not_found', `there is no session ${id}`)
    }
    const ended = await end(tx, call.actor, call.now, id, row.userId)
    if (!ended) throw new Failure('not_found', `there is no session ${id}`)
    return ended
  })
}

/**
 * Ends a session that its user did not end, and says why: the provider's word, or its silence.
 * False where it had ended already, which is no event.
 */
export async function withdrawSession(
  tx: Database,
  {
    id,
    userId,
    provider,
    reason,
  }: { id: string; userId: string; provider: string; reason: string },
  now: Date,
): Promise<boolean> {
  const ended = await tx
    .update(sessions)
    .set({ endedAt: now })
    .where(and(eq(sessions.id, id), isNull(sessions.endedAt)))
    .returning({ id: sessions.id })
  if (ended.length === 0) return false
  const destinations = await destinationsOfUser(tx, userId)
  const detail = { session: id, user: { id: userId }, provider, reason }
  const concerned = { destinations, subjects: [userSubject(userId)] }
  await record(tx, { kind: 'system' }, now, { kind: 'session.ended', detail, ...concerned })
  return true
}

/** Null where it had ended already, which is no event. The row stays: its id must be told to connectors while a token of it may be good. */
async function end(
  tx: Database,
  actor: Actor,
  now: Date,
  id: string,
  userId: string,
): Promise<Changed | null> {
  const ended = await tx
    .update(sessions)
    .set({ endedAt: now })
    .where(and(eq(sessions.id, id), isNull(sessions.endedAt)))
    .returning({ id: sessions.id })
  if (ended.length === 0) return null
  const destinations = await destinationsOfUser(tx, userId)
  const detail = { session: id, user: { id: userId } }
  const subjects = [userSubject(userId)]
  const happening = { kind: 'session.ended', detail, destinations, subjects }
  return { revision: await record(tx, actor, now, happening), destinations }
}

async function findSessions(
  { db, now }: Call,
  which: ReturnType<typeof eq> | undefined,
): Promise<Session[]> {
  const rows = await db
    .select({ session: sessions, email: users.email, provider: providers.name })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .leftJoin(providers, eq(providers.id, sessions.providerId))
    .where(and(isNull(sessions.endedAt), gt(sessions.expiresAt, now), which))
    .orderBy(desc(sessions.lastUsedAt))
  return rows.map(({ session, email, provider }) => ({
    id: session.id,
    user: email,
    provider,
    createdAt: session.createdAt.toISOString(),
    lastUsedAt: session.lastUsedAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
  }))
}
