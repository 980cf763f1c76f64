/**
 * Logging in with a provider (OpenID Connect, authorization code flow with PKCE). `begin` sends the
 * browser to the provider, `finish` takes what came back. Who carries the code is not trusted: it
 * counts only together with what this server kept, and with the verifier of the CLI that began.
 */
import { randomBytes } from 'node:crypto'
import { and, eq, isNull } from 'drizzle-orm'
import type { Call } from '../call.ts'
import { isSecretOf, newId } from '../credential.ts'
import type { Database } from '../db/database.ts'
import { providers } from '../db/schema.ts'
import { record } from '../events.ts'
import { followGroups } from '../groups.ts'
import { countBegunLogin } from './guesses.ts'
import type { ProviderRow } from '../providers.ts'
import { startSession } from '../sessions.ts'
import { Failure } from '../wire/failure.ts'
import type { BeginLogin, BegunLogin, FinishLogin, StartedSession } from '../wire/login.ts'
import { authorizationUrl } from './authorization.ts'
import { discover } from './discovery.ts'
import { exchangeCode } from './exchange.ts'
import { type Claims, claimsToIdentity, type Identity } from './identity.ts'
import { userFor } from './join.ts'
import { keepLogin, takeLogin } from './pending.ts'
import { askAboutLater, keepTokens, type ProviderTokens } from './provider-tokens.ts'
import { judgeRedirectUri } from './redirect.ts'

/**
 * @throws {Failure} `not_found` for a provider that is not offered; `too_many`; `unavailable` when
 * the provider does not answer.
 */
export async function beginOidcLogin(
  call: Call,
  { provider: name, redirectUri, challenge }: BeginLogin,
): Promise<BegunLogin> {
  await countBegunLogin(call.db, call.address, call.now)
  const provider = await offered(call.db, eq(providers.name, name))
  if (!provider) throw new Failure('not_found', `there is no provider ${name} to log in with`)
  judgeRedirectUri(redirectUri, provider)
  const server = await discover(call, provider.issuer)
  const id = newId()
  const secrets = { state: random(), nonce: random(), codeVerifier: random() }
  const login = {
    id,
    providerId: provider.id,
    redirectUri,
    challenge,
    ...secrets,
    codeVerifier: call.sealer.seal(secrets.codeVerifier, purposeOf(id)),
  }
  const expiresAt = await keepLogin(call.db, login, call.now)
  return {
    login: id,
    authorizationUrl: authorizationUrl(server, provider, { redirectUri, ...secrets }),
    state: secrets.state,
    expiresAt: expiresAt.toISOString(),
  }
}

export async function finishOidcLogin(
  call: Call,
  { login: id, verifier, callback }: FinishLogin,
): Promise<StartedSession> {
  // Taken before anything is judged: whatever comes next, nobody tries this login again.
  const login = await takeLogin(call.db, id)
  if (!login || !isSecretOf(verifier, login.challenge)) {
    throw refused(
      'this login is not known here, begin again',
      login ? 'wrong verifier' : 'no such login',
    )
  }
  if (login.expiresAt <= call.now) {
    throw refused('this login took too long, begin again', 'expired login')
  }
  const provider = await offered(call.db, eq(providers.id, login.providerId))
  if (!provider) throw refused('the provider is no longer offered', 'disabled provider')
  const server = await discover(call, provider.issuer)
  const codeVerifier = call.sealer.open(login.codeVerifier, purposeOf(login.id))
  const begun = { ...login, codeVerifier }
  const { claims, tokens } = await exchangeCode(call, { provider, server, begun, query: callback })
  const { identity, warnings } = claimsToIdentity(claims, provider)
  const came = { identity, claims, tokens }
  const started = await call.db.transaction((tx) => enter(tx, call, provider.id, came))
  return { ...started, warnings: [...warnings, ...started.warnings] }
}

/** Who came, and what the provider gave to ask about them again. */
type Came = { identity: Identity; claims: Claims; tokens: ProviderTokens }

/** One transaction: a person is let in whole, with their groups, or not at all. */
async function enter(
  tx: Database,
  { now, settings, sealer }: Call,
  providerId: string,
  { identity, claims, tokens }: Came,
): Promise<StartedSession> {
  // Locked: disabling the provider comes before this login and refuses it, or after and ends it.
  const [provider] = await tx
    .select()
    .from(providers)
    .where(and(eq(providers.id, providerId), isNull(providers.disabledAt)))
    .for('share')
  if (!provider) throw refused('the provider is no longer offered', 'disabled provider')
  const { user, happened } = await userFor(tx, { identity, provider, now })
  const started = await startSession(tx, { user, providerId, now, settings })
  await keepTokens(tx, sealer, { sessionId: started.session, claims, tokens, now })
  const person = { userId: user.id, providerId, now }
  await askAboutLater(tx, person, settings.revalidateSeconds)
  const actor = { kind: 'system' } as const
  const followed = await followGroups(tx, {
    actor,
    now,
    userId: user.id,
    provider,
    names: identity.groups,
  })
  // Last, because from here to the commit every other change waits.
  if (happened) await record(tx, actor, now, happened)
  return {
    ...started,
    user: { id: user.id, email: user.email, admin: user.isAdmin },
    expiresAt: started.expiresAt.toISOString(),
    warnings: followed.warnings,
  }
}

async function offered(
  db: Database,
  which: ReturnType<typeof eq>,
): Promise<ProviderRow | undefined> {
  const [row] = await db
    .select()
    .from(providers)
    .where(and(which, isNull(providers.disabledAt)))
  return row
}

const purposeOf = (id: string) => `login ${id} code_verifier`

/** 256 random bits in 43 letters: the length of a PKCE verifier (RFC 7636 section 4.1). */
function random(): string {
  return randomBytes(32).toString('base64url')
}

function refused(sentence: string, why: string): Failure {
  return new Failure('unauthenticated', sentence, { cause: new Error(why) })
}
