/**
 * What a provider gave with a session's login: kept sealed, to ask it again whether the person still
 * stands, and shown to nobody. Sealed for the session, so that one session's token is of no use in
 * the place of another's.
 */
import { sql } from 'drizzle-orm'
import type { Database } from '../db/database.ts'
import { providerTokens, questions } from '../db/schema.ts'
import type { Sealer } from '../seal.ts'
import { type Claims, storable } from './identity.ts'

export type ProviderTokens = {
  /** Null: the provider gave none. */
  refreshToken: string | null
  accessToken: string
  accessUntil: Date
}

/** What of a token endpoint's answer is kept. `idTokenExp` stands in where it says no `expires_in`. */
export function tokensOf(
  answer: { access_token: string; expires_in?: number; refresh_token?: string },
  now: Date,
  idTokenExp: unknown,
): ProviderTokens {
  const { access_token: accessToken, expires_in: seconds, refresh_token: refreshToken } = answer
  const until =
    typeof idTokenExp === 'number' && seconds === undefined
      ? idTokenExp * 1000
      : now.getTime() + (seconds ?? 0) * 1000
  return { refreshToken: refreshToken || null, accessToken, accessUntil: new Date(until) }
}

export async function keepTokens(
  tx: Database,
  sealer: Sealer,
  kept: { sessionId: string; claims: Claims; tokens: ProviderTokens; now: Date },
): Promise<void> {
  const { sessionId, claims, tokens, now } = kept
  const sealed = sealTokens(sealer, sessionId, tokens)
  await tx.insert(providerTokens).values({
    ...{ sessionId, ...sealed, claims: storable(claims), askedAt: now },
  })
}

export function sealTokens(
  sealer: Sealer,
  sessionId: string,
  { refreshToken, accessToken, accessUntil }: ProviderTokens,
): ProviderTokens {
  return {
    refreshToken: refreshToken === null ? null : sealer.seal(refreshToken, refresh(sessionId)),
    accessToken: sealer.seal(accessToken, access(sessionId)),
    accessUntil,
  }
}

export function openTokens(
  sealer: Sealer,
  row: ProviderTokens & { sessionId: string },
): ProviderTokens {
  return {
    refreshToken:
      row.refreshToken === null ? null : sealer.open(row.refreshToken, refresh(row.sessionId)),
    accessToken: sealer.open(row.accessToken, access(row.sessionId)),
    accessUntil: row.accessUntil,
  }
}

/**
 * A person who has just been proved is asked about within an interval, at an instant of their own:
 * people who come at nine o'clock must not be asked about in one burst for ever after.
 */
export async function askAboutLater(
  tx: Database,
  { userId, providerId, now }: { userId: string; providerId: string; now: Date },
  intervalSeconds: number,
): Promise<void> {
  const dueAt = new Date(now.getTime() + Math.random() * intervalSeconds * 1000)
  await tx
    .insert(questions)
    .values({ userId, providerId, dueAt, answeredAt: now })
    .onConflictDoUpdate({
      target: [questions.userId, questions.providerId],
      set: {
        answeredAt: now,
        failingSince: null,
        dueAt: sql`least(${questions.dueAt}, excluded.due_at)`,
      },
    })
}

const refresh = (sessionId: string) => `session ${sessionId} refresh token`
const access = (sessionId: string) => `session ${sessionId} access token`
