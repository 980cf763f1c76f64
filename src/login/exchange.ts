/**
 * From the code that came back to the claims of a verified ID token. Everything that a provider, or
 * whoever poses as one, could get wrong is checked here. The client secret and the `code_verifier` do
 * not leave this file; the provider's tokens leave it to be sealed (`provider-tokens.ts`).
 */
import {
  authorizationCodeGrantRequest,
  type AuthorizationServer,
  type Client,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  clockSkew,
  getValidatedIdTokenClaims,
  None,
  processAuthorizationCodeResponse,
  processUserInfoResponse,
  type TokenEndpointResponse,
  userInfoRequest,
  validateApplicationLevelSignature,
  validateAuthResponse,
} from 'oauth4webapi'
import type { Call } from '../call.ts'
import { openClientSecret, type ProviderRow } from '../providers.ts'
import { type Network, requestsBy } from './discovery.ts'
import { type Claims, lacksClaims, withUserinfo } from './identity.ts'
import type { PendingLogin } from './pending.ts'
import { type ProviderTokens, tokensOf } from './provider-tokens.ts'
import { judged, refusedAnswer } from './refusal.ts'

export type Callback = {
  provider: ProviderRow
  server: AuthorizationServer
  /** What the server kept of the login's beginning. */
  begun: Pick<PendingLogin, 'state' | 'nonce' | 'redirectUri'> & { codeVerifier: string }
  /** The query that came to the redirect URI, as it came. */
  query: string
}

type Party = { call: Call; provider: ProviderRow; server: AuthorizationServer; client: Client }

/** @throws {Failure} `unavailable` where the provider does not answer. */
export async function exchangeCode(
  call: Call,
  { provider, server, begun, query }: Callback,
): Promise<{ claims: Claims; tokens: ProviderTokens }> {
  const client = clientOf(provider, call.now)
  const party = { call, provider, server, client }
  return judged(async () => {
    const answer = await tokensFor(party, begun, new URLSearchParams(query))
    const claims = idTokenOf(answer, provider)
    const tokens = tokensOf(answer, call.now, claims['exp'])
    if (!server.userinfo_endpoint || !lacksClaims(claims, provider.groupsClaim)) {
      return { claims, tokens }
    }
    const userinfo = await userinfoFor(party, answer.access_token, claims.sub)
    return { claims: withUserinfo(claims, userinfo, provider.groupsClaim), tokens }
  })
}

/** Ourselves as oauth4webapi wants it, with the clock that was handed in. */
export function clientOf({ clientId }: Pick<ProviderRow, 'clientId'>, now: Date): Client {
  return {
    client_id: clientId,
    [clockSkew]: Math.round((now.getTime() - Date.now()) / 1000),
  }
}

/** The claims of the ID token in an answer that the library has judged. */
export function idTokenOf(
  answer: TokenEndpointResponse,
  { clientId }: Pick<ProviderRow, 'clientId'>,
): Claims & { sub: string } {
  const claims = getValidatedIdTokenClaims(answer)
  if (!claims) throw refusedAnswer('it holds no ID token')
  // Checked by the library only where there are several audiences; an ID token that was made
  // for another client's request is refused wherever it says so (Core section 3.1.3.7).
  if (claims.azp !== undefined && claims.azp !== clientId) {
    throw refusedAnswer('the ID token was issued to another client')
  }
  return claims
}

async function tokensFor(
  { call, provider, server, client }: Party,
  begun: Callback['begun'],
  query: URLSearchParams,
): Promise<TokenEndpointResponse> {
  const requests = requestsBy(call)
  const parameters = validateAuthResponse(server, client, query, begun.state)
  const response = await authorizationCodeGrantRequest(
    server,
    client,
    authentication(server, openClientSecret(call.sealer, provider)),
    parameters,
    begun.redirectUri,
    begun.codeVerifier,
    requests,
  )
  const tokens = await processAuthorizationCodeResponse(server, client, response, {
    expectedNonce: begun.nonce,
    requireIdToken: true,
  })
  // The library trusts TLS for what comes from the token endpoint and leaves the signature alone;
  // we do not, for a proxy in between may end TLS.
  await validateApplicationLevelSignature(server, response, requests)
  return tokens
}

async function userinfoFor(party: Party, accessToken: string, subject: string): Promise<Claims> {
  const { call, server, client } = party
  const response = await userInfoRequest(server, client, accessToken, requestsBy(call))
  return readUserinfo(party, response, subject)
}

/** The answer must be about the same subject (Core section 5.3.2), and signed if it is a JWT. */
export async function readUserinfo(
  { call, server, client }: Pick<Party, 'server' | 'client'> & { call: Network },
  response: Response,
  subject: string,
): Promise<Claims> {
  const requests = requestsBy(call)
  const userinfo = await processUserInfoResponse(server, client, subject, response)
  const isJwt = response.headers.get('content-type')?.split(';')[0] === 'application/jwt'
  if (isJwt) await validateApplicationLevelSignature(server, response, requests)
  return userinfo
}

/** How a client proves itself, by what the provider lists; the header is the default (Core 9). */
export function authentication(server: AuthorizationServer, secret: string | null): ClientAuth {
  if (secret === null) return None()
  const listed = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  if (listed.includes('client_secret_basic')) return ClientSecretBasic(secret)
  if (listed.includes('client_secret_post')) return ClientSecretPost(secret)
  throw refusedAnswer('it takes no client secret in a way that is known here')
}
