/** What a provider says of itself (OpenID Connect Discovery 1.0), kept for some minutes. */
import {
  allowInsecureRequests,
  type AuthorizationServer,
  customFetch,
  discoveryRequest,
  processDiscoveryResponse,
} from 'oauth4webapi'
import type { Call } from '../call.ts'
import type { Fetch } from '../wire/client.ts'
import { judged, refusedAnswer } from './refusal.ts'

const lifeMs = 10 * 60_000

type Known = { server: Promise<AuthorizationServer>; until: number }

/** A cache for each network, so that it lives as long as the server that asks by it. */
const caches = new WeakMap<Fetch, Map<string, Known>>()

export type Network = Pick<Call, 'providerFetch' | 'settings' | 'now'>

/**
 * The provider's own description, judged: it must call itself by exactly this issuer, and send
 * browsers to a web page. Many who ask at once share one request; a failure is not remembered.
 *
 * oauth4webapi keeps a provider's signing keys with the object given here.
 */
export async function discover(call: Network, issuer: string): Promise<AuthorizationServer> {
  const cache = caches.get(call.providerFetch) ?? new Map<string, Known>()
  caches.set(call.providerFetch, cache)
  const known = cache.get(issuer)
  if (known && known.until > call.now.getTime()) return known.server
  const asked = { server: ask(call, issuer), until: call.now.getTime() + lifeMs }
  cache.set(issuer, asked)
  try {
    return await asked.server
  } catch (error) {
    if (cache.get(issuer) === asked) cache.delete(issuer)
    throw error
  }
}

/** What oauth4webapi hands to a `fetch`. */
type Sent = {
  method: string
  headers: Record<string, string>
  redirect: 'manual'
  body?: URLSearchParams | undefined
  signal?: AbortSignal
}

/** The options of every request that oauth4webapi makes for us. */
export function requestsBy({
  providerFetch,
  settings,
}: Pick<Network, 'providerFetch' | 'settings'>): {
  [customFetch]: (url: string, sent: Sent) => Promise<Response>
  [allowInsecureRequests]: boolean
} {
  return {
    [customFetch]: async (url, { body, ...sent }) =>
      providerFetch(new Request(url, { ...sent, body: body ?? null })),
    [allowInsecureRequests]: settings.insecureProviders,
  }
}

async function ask(call: Network, issuer: string): Promise<AuthorizationServer> {
  const url = new URL(issuer)
  const server = await judged(async () =>
    processDiscoveryResponse(url, await discoveryRequest(url, requestsBy(call))),
  )
  // OpenID Connect Discovery section 4.3: exactly the same, not a URL that means the same.
  if (server.issuer !== issuer)
    throw refusedAnswer(`its issuer is written otherwise than ${issuer}`)
  judgePage(server.authorization_endpoint, call.settings.insecureProviders)
  return server
}

/** A browser is told to open this: it must not be a program, a file or a script. */
function judgePage(endpoint: string | undefined, isInsecureAllowed: boolean): void {
  const protocol = endpoint === undefined ? null : URL.parse(endpoint)?.protocol
  if (protocol === 'https:' || (protocol === 'http:' && isInsecureAllowed)) return
  throw refusedAnswer('it names no page to log in at')
}
