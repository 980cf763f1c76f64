/**
 * The network of the CLI and the connector: HTTP and WebSocket towards a server whose certificate
 * may come from a CA of its own. The one file outside `serve.ts` and `db/` that knows Bun from
 * Node: Bun's `fetch` takes the CA as an option, Node's needs a dispatcher of undici.
 *
 * The UI never imports it: a browser has its own network.
 */
import WebSocket from 'ws'
import type { Fetch } from './client.ts'

/** A `fetch` that trusts `ca` (PEM) in place of the system's CAs; null: the system's. */
export function fetchWith(ca: string | null): Fetch {
  if (process.versions['bun']) return bunFetch(ca)
  const loading = nodeFetch(ca)
  return async (request) => (await loading)(request)
}

function bunFetch(ca: string | null): Fetch {
  // `tls` is Bun's own option, which the types of Node do not know.
  const options = (ca ? { tls: { ca } } : {}) as RequestInit
  return (request) => fetch(request, options)
}

async function nodeFetch(ca: string | null): Promise<Fetch> {
  const undici = await import('undici')
  const dispatcher = new undici.EnvHttpProxyAgent(ca ? { requestTls: { ca }, connect: { ca } } : {})
  return async (request) => {
    const body = request.body ? Buffer.from(await request.arrayBuffer()) : null
    const response = await undici.fetch(request.url, {
      method: request.method,
      headers: [...request.headers],
      redirect: request.redirect,
      signal: request.signal,
      dispatcher,
      body,
    })
    return response as unknown as Response
  }
}

/** Opens a WebSocket with a credential in its `Authorization` header, never in its URL. */
export function openSocket(url: string, credential: string, ca: string | null): WebSocket {
  return new WebSocket(url, {
    headers: { authorization: `Bearer ${credential}` },
    perMessageDeflate: false,
    followRedirects: false,
    handshakeTimeout: 10_000,
    maxPayload: 64 * 1024 * 1024,
    ...(ca ? { ca } : {}),
  })
}
