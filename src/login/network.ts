/**
 * The network towards providers. Each request is bounded in time and size, follows no redirect, and
 * goes to the very address that was judged: the name is looked up once, here, and the connection is
 * made to what came of it, so that a name cannot point elsewhere a moment later (security.md L8).
 *
 * `node:http(s)` and not `fetch`, because on Bun as on Node it takes a look-up of ours. By way of a
 * proxy (`HTTPS_PROXY`) the proxy looks names up, and judging their addresses is its part; an
 * address written in place of a name is judged here all the same (decision 10).
 */
import { lookup } from 'node:dns'
import { type IncomingMessage, request as requestHttp, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { Settings } from '../settings.ts'
import type { Fetch } from '../wire/client.ts'
import { Failure } from '../wire/failure.ts'
import { proxyFor } from '../wire/proxy.ts'
import { creating, throughProxy } from '../wire/tunnel.ts'
import { mayConnect } from './addresses.ts'

const maxMs = 10_000
const maxBytes = 1024 * 1024

/** `lookUp` is DNS; tests hand in their own. */
export function providerFetch(
  settings: Pick<Settings, 'insecureProviders'>,
  lookUp: LookUp = lookup,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Fetch {
  const which = settings.insecureProviders ? 'any' : 'public'
  return async (request) => {
    const url = new URL(request.url)
    judgeUrl(url, which)
    try {
      const body = Buffer.from(await request.arrayBuffer())
      const proxy = proxyFor(url, env)
      const way = proxy ? proxied(proxy, url) : directly(judging(lookUp, which))
      return await exchange(url, request, body, way)
    } catch (cause) {
      if (cause instanceof Failure) throw cause
      throw unreachable(url, cause)
    }
  }
}

/** What of `dns.lookup` is used. */
export type LookUp = (
  host: string,
  options: { all: true },
  found: (error: Error | null, addresses: { address: string; family: number }[]) => void,
) => void

function judgeUrl(url: URL, which: 'public' | 'any'): void {
  const isSecure = url.protocol === 'https:'
  if (!isSecure && (which === 'public' || url.protocol !== 'http:')) {
    throw new Failure('unavailable', `the provider at ${url.host} is not reached by https`)
  }
  // An address in place of a name is never looked up, so it is judged here.
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) && !mayConnect(host, which)) throw refused(url.hostname)
}

/** A look-up that gives only what may be connected to; one bad address refuses the whole name. */
function judging(lookUp: LookUp, which: 'public' | 'any'): LookupFunction {
  return (host, options, found) => {
    lookUp(host, { all: true }, (error, addresses) => {
      const first = addresses?.[0]
      if (error || !first) return found(error ?? new Error(`no address for ${host}`), '', 0)
      if (!addresses.every(({ address }) => mayConnect(address, which))) {
        return found(refused(host), '', 0)
      }
      if (options.all) found(null, addresses)
      else found(null, first.address, first.family)
    })
  }
}

type Way = Pick<RequestOptions, 'lookup' | 'agent' | 'createConnection'>

/** A connection kept open would outlive the judgement about its address: so no agent. */
function directly(lookUp: LookupFunction): Way {
  return { lookup: lookUp, agent: false }
}

/** Always by a tunnel, so that the proxy sees no more than where it leads. */
function proxied(proxy: URL, { hostname, port, protocol }: URL): Way {
  const isSecure = protocol === 'https:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const secure = isSecure ? { ALPNProtocols: ['http/1.1'] } : null
  const to = { host, port: Number(port) || (isSecure ? 443 : 80), tls: secure }
  return { createConnection: creating(() => throughProxy(proxy, to)) }
}

async function exchange(url: URL, request: Request, body: Buffer, way: Way): Promise<Response> {
  const signal = AbortSignal.any([AbortSignal.timeout(maxMs), request.signal])
  const options: RequestOptions = {
    method: request.method,
    headers: {
      ...Object.fromEntries(request.headers),
      ...(body.length > 0 ? { 'content-length': String(body.length) } : {}),
    },
    signal,
    ...way,
  }
  const message = await send(url, options, body)
  const bytes = await readAll(message)
  return responseOf(message, bytes)
}

function send(url: URL, options: RequestOptions, body: Buffer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options)
    sent.once('response', resolve)
    sent.once('upgrade', (_message, socket) => {
      socket.destroy()
      reject(new Error('the answer was an upgrade nobody asked for'))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Reads the body whole; a larger one is cut off where it passes the limit. */
async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) {
      message.destroy()
      throw new Error(`the answer is larger than ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function responseOf(message: IncomingMessage, bytes: Buffer): Response {
  const headers = new Headers()
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    headers.append(message.rawHeaders[at] ?? '', message.rawHeaders[at + 1] ?? '')
  }
  const status = message.statusCode ?? 0
  const isEmpty = [204, 205, 304].includes(status)
  return new Response(isEmpty ? null : new Uint8Array(bytes), { status, headers })
}

function refused(host: string): Failure {
  return new Failure('unavailable', `the provider at ${host} has an address that is not allowed`)
}

function unreachable(url: URL, cause: unknown): Failure {
  return new Failure('unavailable', `the provider at ${url.host} does not answer`, { cause })
}
