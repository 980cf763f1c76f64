/**
 * One person's turn. Each session holds tokens of its own; the one asked least recently is asked
 * first, so that all of them stay fresh and each is asked in time. A session whose token is refused
 * ends, and the next one is asked: who logged out of one session at the provider has not left.
 */
import { and, asc, eq, gt, isNull } from 'drizzle-orm'
import type { Call } from '../call.ts'
import type { Database } from '../db/database.ts'
import { identities, providerTokens, sessions, users } from '../db/schema.ts'
import { discover, type Network } from '../login/discovery.ts'
import { clientOf } from '../login/exchange.ts'
import { storable } from '../login/identity.ts'
import { openTokens, type ProviderTokens, sealTokens } from '../login/provider-tokens.ts'
import { openClientSecret } from '../providers.ts'
import type { Settings } from '../settings.ts'
import { Failure } from '../wire/failure.ts'
import { log } from '../wire/log.ts'
import { type Asking, ask, type Kept, type Notes, type Word } from './ask.ts'
import { takePlace } from './pace.ts'
import {
  forgetQuestion,
  settleGone,
  settleStanding,
  settleUnknown,
  type Spans,
  type Turn,
} from './settle.ts'

export type TurnParts = Pick<Call, 'db' | 'sealer' | 'settings' | 'providerFetch'> & {
  clock: () => Date
  wait: (ms: number) => Promise<void>
}

type Standing = { sessionId: string; subject: string; tokens: TokenRow | null }
type TokenRow = typeof providerTokens.$inferSelect

/** What a turn came to, for the loop to learn from. */
export type Outcome = { requests: number; trouble: string | null }

export async function takeTurn(
  parts: TurnParts,
  turn: Turn,
  { isQuiet }: { isQuiet: boolean },
): Promise<Outcome> {
  const { db, clock, settings } = parts
  const spans = spansOf(settings)
  const standing = await standingSessions(db, turn, clock(), settings)
  if (standing.length === 0) {
    await forgetQuestion(db, turn.question)
    return { requests: 0, trouble: null }
  }
  let requests = 0
  let open: Trouble | null = null
  const count = () => (requests += 1)
  for (const session of standing) {
    const word = isQuiet ? quiet : await wordFor(parts, turn, session, count)
    const now = clock()
    if (word.kind === 'gone') {
      const { why: reason, isWord } = word
      await settleGone(db, turn, { sessionId: session.sessionId, reason, isWord, now })
      continue
    }
    if (word.kind === 'stands') {
      await remember(db, session.sessionId, word, now)
      await settleStanding(db, turn, { ...word, ...spans, now })
      return { requests, trouble: null }
    }
    open = word
    if (word.kind === 'ours' || !word.isOfSession) break
  }
  if (open) await settleTrouble(db, turn, open, { ...spans, now: clock() })
  return { requests, trouble: open?.why ?? null }
}

type Trouble = Extract<Word, { kind: 'ours' | 'unknown' }>

function settleTrouble(
  db: Database,
  turn: Turn,
  word: Trouble,
  when: Spans & { now: Date },
): Promise<void> {
  const isOurs = word.kind === 'ours'
  const retryAfterSeconds = isOurs ? null : word.retryAfterSeconds
  return settleUnknown(db, turn, { ...when, why: word.why, retryAfterSeconds, isOurs })
}

export function spansOf(
  settings: Pick<Settings, 'revalidateSeconds' | 'revalidateGraceSeconds'>,
): Spans {
  return {
    intervalMs: settings.revalidateSeconds * 1000,
    graceMs: settings.revalidateGraceSeconds * 1000,
  }
}

const quiet: Word = {
  kind: 'unknown',
  why: 'it asked for patience',
  retryAfterSeconds: null,
  isOfSession: false,
}

/** Never throws: what goes wrong on our side is no word about the person. */
async function wordFor(
  parts: TurnParts,
  turn: Turn,
  session: Standing,
  count: () => void,
): Promise<Word> {
  const { tokens } = session
  if (!tokens) {
    return { kind: 'gone', why: 'there is nothing to ask the provider with', isWord: false }
  }
  try {
    const asking = await askingFor(parts, turn, tokens, count)
    return await ask(asking, keptOf(parts, session, tokens))
  } catch (error) {
    const isFailure = error instanceof Failure
    if (!isFailure) log('error', 'a person was not asked about', { error })
    const why = isFailure ? error.message : 'the question failed here'
    return { kind: 'unknown', why, retryAfterSeconds: null, isOfSession: false }
  }
}

async function askingFor(
  parts: TurnParts,
  { provider }: Turn,
  tokens: TokenRow,
  count: () => void,
): Promise<Asking> {
  const { db, sealer, settings, providerFetch, clock, wait } = parts
  const network: Network = { providerFetch, settings, now: clock() }
  return {
    ...{ network, provider, wait },
    server: await discover(network, provider.issuer),
    client: clientOf(provider, network.now),
    clientSecret: openClientSecret(sealer, provider),
    graceMs: spansOf(settings).graceMs,
    notes: notesOf(parts, tokens),
    permit: async () => {
      const now = clock()
      const limits = { now, perMinute: provider.questionsPerMinute }
      const at = await takePlace(db, provider.id, limits)
      if (at > now) await wait(at.getTime() - now.getTime())
      count()
    },
  }
}

function keptOf({ sealer }: TurnParts, { subject }: Standing, tokens: TokenRow): Kept {
  const { claims, doubtSince } = tokens
  return { ...openTokens(sealer, tokens), subject, claims, doubtSince }
}

function notesOf({ db, sealer, clock }: TurnParts, { sessionId }: TokenRow): Notes {
  const write = async (set: Partial<TokenRow>, ...also: ReturnType<typeof eq>[]) => {
    await db
      .update(providerTokens)
      .set(set)
      .where(and(eq(providerTokens.sessionId, sessionId), ...also))
  }
  return {
    doubt: () => write({ doubtSince: clock() }, isNull(providerTokens.doubtSince)),
    undoubt: () => write({ doubtSince: null }),
    renew: (tokens: ProviderTokens) =>
      write({ ...sealTokens(sealer, sessionId, tokens), doubtSince: null }),
  }
}

/** The person's live sessions by this provider, the one asked least recently first. */
async function standingSessions(
  db: Database,
  { question: { userId, providerId } }: Turn,
  now: Date,
  { sessionIdleSeconds }: Pick<Settings, 'sessionIdleSeconds'>,
): Promise<Standing[]> {
  const idleSince = new Date(now.getTime() - sessionIdleSeconds * 1000)
  const rows = await db
    .select({ sessionId: sessions.id, subject: identities.subject, tokens: providerTokens })
    .from(sessions)
    .innerJoin(users, and(eq(users.id, sessions.userId), isNull(users.disabledAt)))
    .innerJoin(
      identities,
      and(eq(identities.userId, sessions.userId), eq(identities.providerId, providerId)),
    )
    .leftJoin(providerTokens, eq(providerTokens.sessionId, sessions.id))
    .where(
      and(
        ...[eq(sessions.userId, userId), eq(sessions.providerId, providerId)],
        ...[isNull(sessions.endedAt), gt(sessions.expiresAt, now)],
        gt(sessions.lastUsedAt, idleSince),
      ),
    )
    .orderBy(asc(providerTokens.askedAt))
  return rows
}

/** What the provider said last, for an answer that says less. */
async function remember(
  db: Database,
  sessionId: string,
  { claims }: Extract<Word, { kind: 'stands' }>,
  now: Date,
): Promise<void> {
  await db
    .update(providerTokens)
    .set({ askedAt: now, ...(claims ? { claims: storable(claims) } : {}) })
    .where(eq(providerTokens.sessionId, sessionId))
}
