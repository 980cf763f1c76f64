/**
 * The listener that the provider's redirect arrives at (RFC 8252 section 7.3). Any web page and any
 * user of this machine can send requests to it, so (security.md L5): 127.0.0.1 only, one exact path,
 * `Host` checked against DNS rebinding, `state` compared before the server hears of anything, no
 * CORS, one callback and no more. A request that does not fit is refused and ends nothing.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Failure } from '../../src/wire/failure.ts'
import { isCode } from '../disk/unknown.ts'
import { page } from './page.ts'

/** Where a provider lets its redirect go, as the server's offer says. */
export type Redirect = {
  provider: string
  host: '127.0.0.1' | 'localhost'
  /** Tried in turn; 0 is any. */
  ports: readonly number[]
}
export type Callback = {
  /** The raw query, without `?`. */
  query: string
  /** Shows the person how the login ended, and resolves when the page has been sent. */
  show(outcome: Outcome): Promise<void>
}
export type Outcome = { isLoggedIn: boolean; sentence: string }

const longestQuery = 8192
/** How long the page may take to be sent, to a browser of this machine. */
const longestShowMs = 1_000

export class Loopback {
  readonly redirectUri: string
  readonly #server: Server
  readonly #path: string
  readonly #host: string
  #state: string | null = null
  #arrived: (callback: Callback) => void = () => {}
  #late: NodeJS.Timeout | undefined

  private constructor(server: Server, { provider, host }: Redirect, port: number) {
    this.#server = server
    this.#path = `/callback/${provider}`
    this.#host = `${host}:${port}`
    this.redirectUri = `http://${this.#host}${this.#path}`
    server.on('request', (request, response) => this.#answer(request, response))
  }

  /** @throws {Failure} `conflict` when every port is in use. */
  static async open(redirect: Redirect): Promise<Loopback> {
    for (const port of redirect.ports) {
      const server = createServer({ keepAlive: false })
      const bound = await boundPort(server, port)
      if (bound !== null) return new Loopback(server, redirect, bound)
    }
    const ports = redirect.ports.join(' and ')
    throw new Failure(
      'conflict',
      `the ports ${ports} of this machine are in use, and the provider answers to no other`,
    )
  }

  /**
   * The first callback that carries `state`. Until it is asked for, every request is refused.
   *
   * @throws {Failure} `expired` when none comes within `waitMs`, `invalid` when `interrupted` says.
   */
  callback(state: string, waitMs: number, interrupted: AbortSignal): Promise<Callback> {
    this.#state = state
    return new Promise((resolve, reject) => {
      this.#late = setTimeout(() => {
        reject(new Failure('expired', 'nobody came back from the browser in time'))
      }, waitMs)
      interrupted.addEventListener('abort', () => {
        clearTimeout(this.#late)
        reject(new Failure('invalid', 'the login was interrupted'))
      })
      this.#arrived = (callback) => {
        clearTimeout(this.#late)
        resolve(callback)
      }
    })
  }

  /** Nothing waits any more: not even for the time that a callback may take. */
  close(): void {
    this.#state = null
    clearTimeout(this.#late)
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const [path, query] = splitOnce(request.url ?? '')
    const hosts = valuesOf(request, 'host')
    if (hosts.length !== 1 || hosts[0] !== this.#host)
      return refuse(response, 400, 'This address has another name.')
    if (path !== this.#path) return refuse(response, 404, 'There is nothing here.')
    if (request.method !== 'GET') return refuse(response, 405, 'Only GET is answered here.')
    if (this.#state === null || query.length > longestQuery || !carries(query, this.#state)) {
      return refuse(response, 400, 'This is not the login that infra is waiting for.')
    }
    // One shot: whoever sends the same again finds no login waiting.
    this.#state = null
    this.#arrived({ query, show: (outcome) => show(response, outcome) })
  }
}

/** The port that `server` now listens on; null where it is in use. */
function boundPort(server: Server, port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (isCode(error, 'EADDRINUSE') ? resolve(null) : reject(error)))
    server.listen({ host: '127.0.0.1', port }, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}

/** Compared in constant time: a local process that measures must not learn the state. */
function carries(query: string, state: string): boolean {
  const given = new URLSearchParams(query).getAll('state')
  return given.length === 1 && timingSafeEqual(digest(given[0] ?? ''), digest(state))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function show(response: ServerResponse, outcome: Outcome): Promise<void> {
  return new Promise((resolve) => {
    // The browser may have gone, and that it has may go unheard: the login does not depend on its page.
    const late = setTimeout(resolve, longestShowMs)
    response.once('close', () => {
      clearTimeout(late)
      resolve()
    })
    const title = outcome.isLoggedIn ? 'You are logged in' : 'You are not logged in'
    send(response, outcome.isLoggedIn ? 200 : 403, title, outcome.sentence)
  })
}

function refuse(response: ServerResponse, status: number, sentence: string): void {
  send(response, status, 'Not here', sentence)
}

function send(response: ServerResponse, status: number, title: string, sentence: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  })
  response.end(page(title, sentence))
}

function splitOnce(url: string): [string, string] {
  const at = url.indexOf('?')
  return at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

function valuesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)
}
