import { createHash } from 'node:crypto'
import type { AuthorizationServer } from 'oauth4webapi'
import type { ProviderRow } from '../providers.ts'

/** Where the browser is sent. The provider's own parameters in the endpoint's URL stay. */
export function authorizationUrl(
  server: Pick<AuthorizationServer, 'authorization_endpoint' | 'scopes_supported'>,
  provider: Pick<ProviderRow, 'clientId' | 'scopes'>,
  kept: { redirectUri: string; state: string; nonce: string; codeVerifier: string },
): string {
  const url = new URL(server.authorization_endpoint ?? '')
  const scopes = scopesFor(provider.scopes, server.scopes_supported)
  const parameters = {
    response_type: 'code',
    client_id: provider.clientId,
    redirect_uri: kept.redirectUri,
    scope: scopes.join(' '),
    state: kept.state,
    nonce: kept.nonce,
    code_challenge: createHash('sha256').update(kept.codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    // Without it a provider ignores the wish for a refresh token (Core section 11).
    ...(scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}

/** The scopes that OpenID Connect Core itself names: every provider must know what they mean. */
const standard = ['email', 'profile', 'offline_access']

/** Only what the provider lists is asked for: some refuse the whole login for one unknown scope. */
function scopesFor(wanted: string[], listed: string[] | undefined): string[] {
  const known = listed ?? standard
  return ['openid', ...wanted.filter((scope) => scope !== 'openid' && known.includes(scope))]
}
