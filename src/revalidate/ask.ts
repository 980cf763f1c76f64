/**
 * Asks a provider whether a session's person still stands: by the refresh token where there is one,
 * else at the userinfo endpoint by the access token.
 *
 * A refresh token that rotates is spent by the question. Before it is sent, the row says so (a
 * doubt); the answer takes the doubt away together with the new token. Where the process dies in
 * between, or the answer is lost, the next question finds the doubt and goes by the access token
 * first, which spends nothing; and a refusal of the old refresh token is then no word about the
 * person, because a provider refuses a token that was used twice
 * (`docs/decisions/0007-asking-providers-again.md`).
 */
import {
  type AuthorizationServer,
  type Client,
  processRefreshTokenResponse,
  refreshTokenGrantRequest,
  userInfoRequest,
  validateApplicationLevelSignature,
} from 'oauth4webapi'
import { type Network, requestsBy } from '../login/discovery.ts'
import { authentication, idTokenOf, readUserinfo } from '../login/exchange.ts'
import { type Claims, lacksClaims, withLast, withUserinfo } from '../login/identity.ts'
import { type ProviderTokens, tokensOf } from '../login/provider-tokens.ts'
import { judged } from '../login/refusal.ts'
import type { ProviderRow } from '../providers.ts'
import { Failure } from '../wire/failure.ts'
import { type Answer, judgeGrant, judgeUserinfo, objectIn, type Verdict } from './verdict.ts'

/** What is known of a session's person, with the provider's tokens opened. */
export type Kept = ProviderTokens & { subject: string; claims: Claims; doubtSince: Date | null }

/** What the database is told while a question goes on. */
export type Notes = {
  /** The refresh token is about to be sent. */
  doubt(): Promise<void>
  /** The provider did not take it. */
  undoubt(): Promise<void>
  /** It gave these in its place. */
  renew(tokens: ProviderTokens): Promise<void>
}

export type Asking = {
  network: Network
  provider: ProviderRow
  server: AuthorizationServer
  client: Client
  clientSecret: string | null
  graceMs: number
  notes: Notes
  /** Waits until the provider may be sent one more request. */
  permit(): Promise<void>
  wait(ms: number): Promise<void>
}

/** What came of a question. */
export type Word =
  /** `claims`: null where the provider had no way to say any. `until`: for no longer than this. */
  | { kind: 'stands'; claims: Claims | null; until: Date | null }
  /** `isWord`: said of the person; else what they came in with is used up. */
  | { kind: 'gone'; why: string; isWord: boolean }
  | { kind: 'ours'; why: string }
  /** `isOfSession`: trouble of this session's tokens; another session of theirs may know more. */
  | { kind: 'unknown'; why: string; retryAfterSeconds: number | null; isOfSession: boolean }

/** Before a word that came with a 5xx is asked for once more. */
const onceMoreMs = 2000

export async function ask(asking: Asking, kept: Kept): Promise<Word> {
  if (kept.refreshToken === null) return askByAccess(asking, kept)
  return kept.doubtSince === null ? askByRefresh(asking, kept) : askInDoubt(asking, kept)
}

async function askByAccess(asking: Asking, kept: Kept): Promise<Word> {
  const { server, network } = asking
  const until = kept.accessUntil
  if (until <= network.now) return usedUp('what the provider granted is over')
  if (!server.userinfo_endpoint) return { kind: 'stands', claims: null, until }
  const { verdict, response } = await userinfo(asking, kept.accessToken)
  if (verdict.kind !== 'granted' || !response) return wordOf(verdict)
  return read(async () => {
    const said = await readUserinfo({ ...asking, call: network }, response, kept.subject)
    return { kind: 'stands', claims: withLast(kept.claims, said), until }
  })
}

/** No word of the refresh token's is believed alone while it may have been spent by ourselves. */
async function askInDoubt(asking: Asking, kept: Kept): Promise<Word> {
  const { now } = asking.network
  const isLong = now.getTime() - (kept.doubtSince?.getTime() ?? 0) > asking.graceMs
  const mayGoByAccess = kept.accessUntil > now && asking.server.userinfo_endpoint !== undefined
  const byAccess = mayGoByAccess && !isLong ? await askByAccess(asking, kept) : null
  // `until` is the access token's: the refresh token is tried before the session ends with it.
  if (byAccess?.kind === 'stands') return { ...byAccess, until: null }
  if (byAccess && byAccess.kind !== 'gone') return byAccess
  const byRefresh = await askByRefresh(asking, kept)
  if (byRefresh.kind !== 'gone' || byAccess) return byRefresh
  if (isLong) return usedUp('the refresh token is lost: an answer never came')
  const why = 'the refresh token may be spent: an answer was lost'
  return { ...unknown(why), isOfSession: true }
}

async function askByRefresh(asking: Asking, kept: Kept): Promise<Word> {
  const refreshToken = kept.refreshToken ?? ''
  await asking.notes.doubt()
  const first = await grant(asking, refreshToken)
  const isWord = first.verdict.kind === 'refused' && !first.verdict.isSure
  if (isWord) await asking.wait(onceMoreMs)
  const { verdict, response, body } = isWord ? await grant(asking, refreshToken) : first
  const isUntouched = verdict.kind === 'ours' || (verdict.kind === 'unknown' && !verdict.maySpend)
  // A doubt that was there before is about another question, and stays.
  if (isUntouched && kept.doubtSince === null) await asking.notes.undoubt()
  if (verdict.kind !== 'granted' || !response) return wordOf(verdict)
  const tokens = await renewed(asking, kept, body)
  if (!tokens) return unknown('its answer holds no access token')
  return read(async () => {
    const claims = await claimsOf(asking, kept, tokens, response)
    return claims ? { kind: 'stands', claims, until: null } : unknown('it does not say who it is')
  })
}

/** The new tokens are kept before anything else of the answer is judged, so that none is lost. */
async function renewed(asking: Asking, kept: Kept, body: string): Promise<ProviderTokens | null> {
  const said = objectIn(body)
  const [access, refresh, seconds] = [
    said?.['access_token'],
    said?.['refresh_token'],
    said?.['expires_in'],
  ]
  if (typeof access !== 'string') return null
  const answer = {
    access_token: access,
    ...(typeof seconds === 'number' ? { expires_in: seconds } : {}),
    ...(typeof refresh === 'string' ? { refresh_token: refresh } : {}),
  }
  const made = tokensOf(answer, asking.network.now, undefined)
  const tokens = { ...made, refreshToken: made.refreshToken ?? kept.refreshToken }
  await asking.notes.renew(tokens)
  return tokens
}

/** As at a login: the ID token, and userinfo for what it does not say. */
async function claimsOf(
  asking: Asking,
  kept: Kept,
  { accessToken }: ProviderTokens,
  response: Response,
): Promise<Claims | null> {
  const { server, client, network, provider } = asking
  const answer = await processRefreshTokenResponse(server, client, response)
  const hasIdToken = answer.id_token !== undefined
  if (hasIdToken) await validateApplicationLevelSignature(server, response, requestsBy(network))
  const claims = hasIdToken ? idTokenOf(answer, provider) : null
  // OpenID Connect Core section 12.2: of the same person, or the answer is not ours.
  if (claims && claims.sub !== kept.subject) throw new Error('the ID token is about somebody else')
  const isWhole = claims !== null && !lacksClaims(claims, provider.groupsClaim)
  if (isWhole || !server.userinfo_endpoint) return claims
  const asked = await userinfo(asking, accessToken)
  if (asked.verdict.kind !== 'granted' || !asked.response) {
    throw new Failure('unavailable', 'its userinfo endpoint gave no answer')
  }
  const said = await readUserinfo({ ...asking, call: network }, asked.response, kept.subject)
  if (claims) return withUserinfo(claims, said, provider.groupsClaim)
  return withLast(kept.claims, said)
}

type Sent = { verdict: Verdict; response: Response | null; body: string }

async function grant(asking: Asking, refreshToken: string): Promise<Sent> {
  const { server, client, clientSecret, network } = asking
  const sent = await send(asking, () =>
    refreshTokenGrantRequest(
      server,
      client,
      authentication(server, clientSecret),
      refreshToken,
      requestsBy(network),
    ),
  )
  return { ...sent, verdict: judgeGrant(sent.answer, network.now) }
}

async function userinfo(asking: Asking, accessToken: string): Promise<Sent> {
  const { server, client, network } = asking
  const sent = await send(asking, () =>
    userInfoRequest(server, client, accessToken, requestsBy(network)),
  )
  return { ...sent, verdict: judgeUserinfo(sent.answer, network.now) }
}

async function send(
  { permit }: Asking,
  request: () => Promise<Response>,
): Promise<{ answer: Answer; response: Response | null; body: string }> {
  await permit()
  try {
    const { status, headers, ...came } = await textOf(await request())
    const retryAfter = headers.get('retry-after')
    const response = new Response(came.body || null, { status, headers })
    return { answer: { kind: 'answer', status, retryAfter, body: came.body }, response, ...came }
  } catch (thrown) {
    return { answer: silenceOf(thrown), response: null, body: '' }
  }
}

async function textOf(response: Response) {
  return { status: response.status, headers: response.headers, body: await response.text() }
}

/** A connection that was never made carried nothing; any other may have. */
const unsent = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ConnectionRefused)$/

function silenceOf(thrown: unknown): Answer {
  const why = thrown instanceof Failure ? thrown.message : 'it cannot be asked'
  const { cause } = thrown instanceof Failure ? thrown : { cause: thrown }
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  // A failure without a cause is ours: the address was not allowed, and nothing went out.
  return { kind: 'silence', why, wasSent: cause !== undefined && !unsent.test(code) }
}

/** An answer that grants but cannot be believed is trouble, and no word about the person. */
async function read(work: () => Promise<Word>): Promise<Word> {
  try {
    return await judged(work)
  } catch (thrown) {
    return unknown(thrown instanceof Failure ? thrown.message : 'its answer cannot be read')
  }
}

function wordOf(verdict: Verdict): Word {
  if (verdict.kind === 'refused') return gone(`the provider says ${verdict.word}`)
  if (verdict.kind === 'ours') return { kind: 'ours', why: `the provider says ${verdict.word}` }
  if (verdict.kind === 'granted') return unknown('its answer cannot be read')
  return { ...unknown(verdict.why), retryAfterSeconds: verdict.retryAfterSeconds }
}

function gone(why: string): Word {
  return { kind: 'gone', why, isWord: true }
}

function usedUp(why: string): Word {
  return { kind: 'gone', why, isWord: false }
}

function unknown(why: string): Extract<Word, { kind: 'unknown' }> {
  return { kind: 'unknown', why, retryAfterSeconds: null, isOfSession: false }
}
