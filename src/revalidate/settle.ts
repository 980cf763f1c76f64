/**
 * What a provider's word changes here, in one transaction each: groups are followed anew, sessions
 * end, the next question is set. Only the process that holds the claim may do so.
 */
import { and, eq, isNotNull, isNull, lte, ne } from 'drizzle-orm'
import type { Database } from '../db/database.ts'
import { identities, providerPaces, providers, questions, sessions, users } from '../db/schema.ts'
import { record } from '../events.ts'
import { followGroups } from '../groups.ts'
import { withdrawKeys } from '../keys.ts'
import { type Claims, claimsToIdentity, type Identity } from '../login/identity.ts'
import type { ProviderRow } from '../providers.ts'
import { withdrawSession } from '../sessions.ts'
import { formatDuration } from '../wire/duration.ts'
import { Failure } from '../wire/failure.ts'
import { log } from '../wire/log.ts'
import { dueAfter, dueAfterFailure, type Question } from './due.ts'
import { keepQuiet } from './pace.ts'

const system = { kind: 'system' } as const

/** A question, and the instant at which it was taken up. */
export type Turn = { question: Question; provider: ProviderRow; begunAt: Date }
export type Spans = { intervalMs: number; graceMs: number }

/** The provider says that the person stands, as the one that `claims` describe. */
export async function settleStanding(
  db: Database,
  turn: Turn,
  {
    claims,
    until,
    now,
    intervalMs,
  }: Spans & { claims: Claims | null; until: Date | null; now: Date },
): Promise<void> {
  const { question, provider } = turn
  const next = dueAfter(question.dueAt, now, intervalMs)
  const dueAt = until && until < next && until > now ? until : next
  await db.transaction(async (tx) => {
    const set = { dueAt, answeredAt: now, failingSince: null, ...unclaimed }
    if (!(await isStillOurs(tx, turn, set))) return
    const judged = claims && judge(claims, provider)
    if (judged?.kind === 'refused') return withdrawAll(tx, turn, { reason: judged.why, now })
    if (judged) await follow(tx, turn, judged.identity, now)
    await clearRefusal(tx, provider, now)
  })
}

/** The provider refused what one session came in with. */
export async function settleGone(
  db: Database,
  turn: Turn,
  gone: { sessionId: string; reason: string; isWord: boolean; now: Date },
): Promise<void> {
  await db.transaction(async (tx) => {
    if (!(await isStillOurs(tx, turn, {}))) return
    await withdraw(tx, turn, { ...gone, sessionIds: [gone.sessionId] })
  })
}

/** Nothing is known of the person: they stand until the grace period is over. */
export async function settleUnknown(
  db: Database,
  turn: Turn,
  trouble: Spans & {
    why: string
    retryAfterSeconds: number | null
    isOurs: boolean
    now: Date
  },
): Promise<void> {
  const { question, provider } = turn
  const { now, graceMs, intervalMs, why, retryAfterSeconds } = trouble
  const failingSince = question.failingSince ?? now
  const isOver = now.getTime() - failingSince.getTime() >= graceMs
  await db.transaction(async (tx) => {
    const dueAt = dueAfterFailure({ dueAt: question.dueAt, failingSince }, now, trouble)
    if (!(await isStillOurs(tx, turn, { dueAt, failingSince, ...unclaimed }))) return
    if (retryAfterSeconds !== null) {
      const until = new Date(now.getTime() + retryAfterSeconds * 1000)
      await keepQuiet(tx, provider.id, { until, intervalSeconds: intervalMs / 1000 })
    }
    if (trouble.isOurs) await noteRefusal(tx, provider, why, now)
    if (!isOver) return
    const span = formatDuration(Math.round(graceMs / 1000))
    const reason = `the provider gave no answer for ${span}: ${why}`
    await withdrawAll(tx, turn, { reason, now, isWord: false })
  })
}

/** Nobody is there to ask about any more. */
export async function forgetQuestion(
  tx: Database,
  { userId, providerId }: Pick<Question, 'userId' | 'providerId'>,
): Promise<void> {
  await tx
    .delete(questions)
    .where(and(eq(questions.userId, userId), eq(questions.providerId, providerId)))
}

const unclaimed = { claimedBy: null, claimedUntil: null }

/**
 * Writes to the question if the claim stands and the provider was not disabled meanwhile. Locks the
 * provider first and then the user, as a login does, so that no two wait for each other.
 */
async function isStillOurs(
  tx: Database,
  { question, provider }: Turn,
  set: Partial<Question>,
): Promise<boolean> {
  const [enabled] = await tx
    .select({ id: providers.id })
    .from(providers)
    .where(and(eq(providers.id, provider.id), isNull(providers.disabledAt)))
    .for('share')
  if (!enabled) return false
  const [user] = await tx
    .select({ id: users.id })
    .from(users)
    .where(eq(users.id, question.userId))
    .for('key share')
  if (!user) return false
  const { userId, providerId, claimedBy } = question
  const written = await tx
    .update(questions)
    .set({ claimedBy, ...set })
    .where(
      and(
        ...[eq(questions.userId, userId), eq(questions.providerId, providerId)],
        eq(questions.claimedBy, claimedBy ?? ''),
      ),
    )
    .returning({ userId: questions.userId })
  return written.length > 0
}

/** By the same rules as a login. */
function judge(
  claims: Claims,
  provider: ProviderRow,
): { kind: 'stands'; identity: Identity } | { kind: 'refused'; why: string } {
  try {
    return { kind: 'stands', identity: claimsToIdentity(claims, provider).identity }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return { kind: 'refused', why: error.message }
  }
}

async function follow(
  tx: Database,
  { question, provider }: Turn,
  { email, groups }: Identity,
  now: Date,
): Promise<void> {
  const { userId } = question
  await tx
    .update(identities)
    .set({ email })
    .where(and(eq(identities.userId, userId), eq(identities.providerId, provider.id)))
  const { warnings } = await followGroups(tx, {
    ...{ actor: system, now, userId, provider, names: groups },
  })
  if (warnings.length > 0)
    log('debug', 'groups were left out', { provider: provider.name, warnings })
}

/** Ends every session of the person's that was there when the question began. */
async function withdrawAll(
  tx: Database,
  turn: Turn,
  { reason, now, isWord = true }: { reason: string; now: Date; isWord?: boolean },
): Promise<void> {
  const standing = await tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(isTheirs(turn), lte(sessions.createdAt, turn.begunAt)))
  const sessionIds = standing.map(({ id }) => id)
  await withdraw(tx, turn, { sessionIds, reason, now, isWord })
}

async function withdraw(
  tx: Database,
  turn: Turn,
  ending: { sessionIds: string[]; reason: string; now: Date; isWord?: boolean },
): Promise<void> {
  const { sessionIds, reason, now, isWord = true } = ending
  const { userId } = turn.question
  for (const id of sessionIds) {
    await withdrawSession(tx, { id, userId, provider: turn.provider.name, reason }, now)
  }
  const [left] = await tx.select({ id: sessions.id }).from(sessions).where(isTheirs(turn)).limit(1)
  if (left) return
  await forgetQuestion(tx, turn.question)
  // A key must not outlive the person (security.md L6). Where the provider is silent, or its grant
  // has run out, nobody has said that the person is gone.
  if (isWord && !(await hasAnotherWayIn(tx, turn))) await withdrawKeys(tx, { userId, reason }, now)
}

function isTheirs({ question, provider }: Turn) {
  return and(
    ...[eq(sessions.userId, question.userId), eq(sessions.providerId, provider.id)],
    isNull(sessions.endedAt),
  )
}

async function hasAnotherWayIn(tx: Database, { question, provider }: Turn): Promise<boolean> {
  const { userId } = question
  const [user] = await tx
    .select({ passwordHash: users.passwordHash })
    .from(users)
    .where(eq(users.id, userId))
  const [elsewhere] = await tx
    .select({ id: providers.id })
    .from(identities)
    .innerJoin(providers, eq(providers.id, identities.providerId))
    .where(
      and(
        ...[eq(identities.userId, userId), ne(identities.providerId, provider.id)],
        isNull(providers.disabledAt),
      ),
    )
    .limit(1)
  return (user?.passwordHash ?? null) !== null || elsewhere !== undefined
}

/** Loud, and once: a rotated client secret would otherwise end everybody's session in silence. */
async function noteRefusal(
  tx: Database,
  { id, name }: ProviderRow,
  reason: string,
  now: Date,
): Promise<void> {
  const written = await tx
    .insert(providerPaces)
    .values({ providerId: id, nextRequestAt: now, refusesUsSince: now })
    .onConflictDoUpdate({
      target: providerPaces.providerId,
      set: { refusesUsSince: now },
      setWhere: isNull(providerPaces.refusesUsSince),
    })
    .returning({ id: providerPaces.providerId })
  if (written.length === 0) return
  log('error', 'a provider refuses this server, not a person', { provider: name, reason })
  const detail = { provider: { id, name }, reason }
  await record(tx, system, now, { kind: 'provider.refuses_us', detail, destinations: [] })
}

async function clearRefusal(tx: Database, { id, name }: ProviderRow, now: Date): Promise<void> {
  const cleared = await tx
    .update(providerPaces)
    .set({ refusesUsSince: null })
    .where(and(eq(providerPaces.providerId, id), isNotNull(providerPaces.refusesUsSince)))
    .returning({ id: providerPaces.providerId })
  if (cleared.length === 0) return
  const detail = { provider: { id, name } }
  await record(tx, system, now, { kind: 'provider.accepts_us', detail, destinations: [] })
}
