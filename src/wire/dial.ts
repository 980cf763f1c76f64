/**
 * The network of the CLI and the connector: HTTP and WebSocket towards a server whose certificate
 * may come from a CA of its own, and which may lie behind a proxy (`proxy.ts`). The one file
 * outside `serve.ts` and `db/` that knows Bun from Node: Bun's `fetch` and `WebSocket` take CA and
 * proxy as options, Node's `fetch` needs a dispatcher of undici, and its `ws` a tunnel of ours.
 *
 * The UI never imports it: a browser has its own network.
 */
import WebSocket from 'ws'
import type { Fetch } from './client.ts'
import { proxyFor } from './proxy.ts'
import { creating, throughProxy } from './tunnel.ts'

/** A `fetch` that trusts `ca` (PEM) in place of the system's CAs; null: the system's. */
export function fetchWith(ca: string | null): Fetch {
  if (process.versions['bun']) return bunFetch(ca)
  const loading = nodeFetch(ca)
  return async (request) => (await loading)(request)
}

function bunFetch(ca: string | null): Fetch {
  return (request) => {
    const proxy = proxyFor(new URL(request.url), process.env)
    // `false`: not even the proxy that Bun itself would take from the environment. Neither option
    // is known to the types of Node.
    const options = { proxy: proxy?.href ?? false, ...(ca ? { tls: { ca } } : {}) } as RequestInit
    return fetch(request, options)
  }
}

async function nodeFetch(ca: string | null): Promise<Fetch> {
  const undici = await import('undici')
  const direct = new undici.Agent(ca ? { connect: { ca } } : {})
  const proxied = new Map<string, InstanceType<typeof undici.ProxyAgent>>()
  const by = (uri: string) => {
    const agent =
      proxied.get(uri) ?? new undici.ProxyAgent({ uri, ...(ca ? { requestTls: { ca } } : {}) })
    proxied.set(uri, agent)
    return agent
  }
  return async (request) => {
    const proxy = proxyFor(new URL(request.url), process.env)
    const dispatcher = proxy ? by(proxy.href) : direct
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
    ...proxyOf(new URL(url), ca),
  })
}

/** By way of the proxy where there is one: Bun's `ws` is its own, and takes the proxy's URL. */
function proxyOf(url: URL, ca: string | null): WebSocket.ClientOptions {
  const proxy = proxyFor(url, process.env)
  if (!proxy) return {}
  if (process.versions['bun']) return { proxy: proxy.href } as WebSocket.ClientOptions
  const isSecure = url.protocol === 'wss:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port) || (isSecure ? 443 : 80)
  const secure = { ...(ca ? { ca } : {}), ALPNProtocols: ['http/1.1'] }
  const to = { host, port, tls: isSecure ? secure : null }
  const createConnection = creating(() => throughProxy(proxy, to))
  return { createConnection } as unknown as WebSocket.ClientOptions
}
