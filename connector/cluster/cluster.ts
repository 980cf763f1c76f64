/**
 * Where this cluster's API server is and what proves the connector to it: the service account of
 * the pod, or a kubeconfig. Token and CA are read again as they rotate; nothing needs a restart.
 */
import { request, type RequestOptions } from 'node:https'
import { join } from 'node:path'
import { Failure } from '../../src/wire/failure.ts'
import { formatAddress } from '../../src/wire/address.ts'
import { proxyFor } from '../../src/wire/proxy.ts'
import { creating, throughProxy } from '../../src/wire/tunnel.ts'
import type { ClusterApi } from './binding.ts'
import type { Follow } from './bindings-watch.ts'
import { type ApiServer, readKubeconfig } from './kubeconfig.ts'
import { reread } from './reread.ts'
import type { Environment } from '../settings.ts'
import type { UpstreamTarget } from '../splice/upstream.ts'

const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'
const timeoutMs = 10_000
const keepAliveMs = 30_000
/** Bindings of one connector are few; a list that is longer than this is not theirs. */
const mostBytes = 16 * 1024 * 1024

export class Cluster {
  readonly #server: ApiServer
  readonly #proxy: URL | null
  /** The very same value for as long as nothing of it has changed: every request asks for it. */
  #target: UpstreamTarget | null = null

  /** `env` says by which proxy it is reached; whoever names it in `NO_PROXY`, by none. */
  constructor(server: ApiServer, env: Environment = {}) {
    this.#server = server
    this.#proxy = proxyFor(new URL(`https://${formatAddress(server)}`), env)
  }

  /** @throws {Failure} `invalid` where neither a kubeconfig nor a service account is there. */
  static find(
    kubeconfig: string | null,
    env: Environment,
    elapsed: () => number,
    folder = accountFolder,
  ): Cluster {
    return new Cluster(
      kubeconfig === null
        ? readServiceAccount(env, elapsed, folder)
        : readKubeconfig(kubeconfig, elapsed),
      env,
    )
  }

  target(): UpstreamTarget {
    const { host, port, servername, ca, clientCertificate, credential } = this.#server
    const [tls, last] = [{ ca: ca(), ...clientCertificate?.() }, this.#target]
    if (last && isSame(last.tls, tls)) return last
    const name = servername === null ? {} : { servername }
    return (this.#target = { host, port, ...name, tls, proxy: this.#proxy, credential })
  }

  /**
   * Sends one request of our own, not a user's: with our credential and no impersonation, by the
   * same way as the users' requests beside it.
   *
   * @throws {Failure} `unavailable` when the API server cannot be reached.
   */
  readonly ask: ClusterApi = async (method, path, body) => {
    const target = this.target()
    const sent = body === undefined ? null : JSON.stringify(body)
    try {
      const { status, text } = await exchange(target, { method, path, sent })
      return { status, body: asJson(text) }
    } catch (cause) {
      const where = formatAddress(target)
      throw new Failure('unavailable', `cannot reach the API server at ${where}`, { cause })
    }
  }

  /** A watch, likewise in our own name. Keepalive notices an API server that is gone. */
  readonly follow: Follow = (path, heard, signal) => {
    const outgoing = request({ ...optionsOf(this.target()), method: 'GET', path, signal })
    outgoing.on('socket', (socket) => socket.setKeepAlive(true, keepAliveMs))
    return new Promise((resolve, reject) => {
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        response.on('error', reject)
        response.on('close', resolve)
        response.on('data', () => response.statusCode === 200 && heard())
      })
      outgoing.end()
    })
  }
}

function isSame(a: UpstreamTarget['tls'], b: UpstreamTarget['tls']): boolean {
  return a.ca === b.ca && a.cert === b.cert && a.key === b.key
}

type Sent = { method: string; path: string; sent: string | null }

function exchange(target: UpstreamTarget, { method, path, sent }: Sent) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = optionsOf(target)
    const outgoing = request({
      ...options,
      method,
      path,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        ...options.headers,
        ...(sent === null
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
      },
    })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('error', reject)
      response.on('data', (part: string) => {
        text += part
        if (text.length > mostBytes) outgoing.destroy(new Error('the answer is too long'))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    outgoing.end(sent ?? undefined)
  })
}

/** How a request of our own is sent. */
function optionsOf(target: UpstreamTarget) {
  const { host, port, servername, tls } = target
  const token = target.credential()
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` }
  return {
    ...{ host, port, ...tls },
    ...(servername === undefined ? {} : { servername }),
    ...wayTo(target),
    headers: { accept: 'application/json', ...authorization },
  }
}

/** A tunnel makes the connection itself, which `node:https` allows only where no agent is named. */
function wayTo({ host, port, servername, tls, proxy }: UpstreamTarget): RequestOptions {
  if (!proxy) return { agent: false }
  const secure = { ...tls, ...(servername === undefined ? {} : { servername }) }
  const to = { host, port, tls: { ...secure, ALPNProtocols: ['http/1.1'] } }
  return { createConnection: creating(() => throughProxy(proxy, to)) }
}

function readServiceAccount(env: Environment, elapsed: () => number, folder: string): ApiServer {
  const host = env['KUBERNETES_SERVICE_HOST']
  const port = Number(env['KUBERNETES_SERVICE_PORT'] ?? 443)
  if (!host) {
    throw new Failure(
      'invalid',
      'this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set) and KUBECONFIG is not set',
    )
  }
  const token = reread(join(folder, 'token'), elapsed)
  return {
    host,
    port,
    servername: null,
    ca: reread(join(folder, 'ca.crt'), elapsed),
    clientCertificate: null,
    credential: () => token().trim(),
  }
}

/** A proxy in between may answer with a page: no reason to fail otherwise than by its status. */
function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
