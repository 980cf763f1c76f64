/**
 * The far end of the CLI's tests: a server that answers over a real socket, by the wire's own
 * schemas, from values that a test lays out. What it takes and what it gives is parsed, so it cannot
 * answer what the real one could not.
 */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { z } from 'zod'
import { Failure, statusOf } from '../../src/wire/failure.ts'
import type { MyDestination } from '../../src/wire/destinations.ts'
import { harvest, harvestQuery } from '../../test/secrets/harvest.ts'
import { secret, written } from '../../test/secrets/record.ts'
import { fieldOf, isRecord, jsonOf } from '../disk/unknown.ts'
import { routes } from './fake-routes.ts'

export type Seen = { method: string; path: string; authorization: string; body: unknown }
export type Account = {
  id: string
  email: string
  password: string
  admin: boolean
  oneTime: boolean
}
export type Pending = { challenge: string; redirectUri: string; state: string; code: string }

/** What the fake knows, for tests to lay out and to look at. */
export class World {
  readonly seen: Seen[] = []
  readonly accounts: Account[] = [
    {
      id: 'u-ana',
      email: 'ana@example.com',
      password: 'correct horse',
      admin: false,
      oneTime: false,
    },
  ]
  /** Credential to account. */
  readonly sessions = new Map<string, Account>()
  readonly pending = new Map<string, Pending>()
  providers: { name: string; anyLoopbackPort: boolean }[] = []
  offersPassword = true
  destinations: MyDestination[] = []
  tokens = 0
  tokenLifeSeconds = 300
  warnings: string[] = []
  /** Held back until a test lets go. */
  beforeToken: Promise<void> = Promise.resolve()
  url = ''
  #made = 0

  startSession(account: Account): { session: string; credential: string } {
    const session = `s-${account.email.split('@')[0]}-${++this.#made}`
    const credential = `${session}.${randomBytes(12).toString('base64url')}`
    this.sessions.set(credential, account)
    secret('session', credential)
    return { session, credential }
  }

  requests(path: string): Seen[] {
    return this.seen.filter((request) => request.path === path)
  }
}

/** The slice of `t` that is needed: bun's and node's alike. */
export type Test = { after(work: () => unknown): void }
export type Tls = { key: string; cert: string }

export async function fakeServer(t: Test, tls: Tls | null = null): Promise<World> {
  const world = new World()
  const answer: RequestListener = (request, response) => {
    void reply(world, request, response)
  }
  const server = tls ? createTlsServer(tls, answer) : createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  world.url = `${tls ? 'https' : 'http'}://127.0.0.1:${String(fieldOf(server.address(), 'port'))}`
  return world
}

async function reply(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', world.url)
  const method = request.method ?? 'GET'
  const authorization = request.headers.authorization ?? ''
  let text = ''
  for await (const chunk of request) text += String(chunk)
  const body = text === '' ? null : jsonOf(text)
  written(url.pathname === '/authorize' ? 'provider URL' : 'URL', 'fake server', url.href)
  harvest(text)
  world.seen.push({ method, path: url.pathname, authorization, body })
  try {
    if (url.pathname === '/authorize') return authorize(world, url, response)
    send(response, 200, await routed(world, { method, url, authorization, body }))
  } catch (error) {
    if (!(error instanceof Failure))
      return send(response, 500, { code: 'bug', message: String(error) })
    send(response, statusOf[error.code], { code: error.code, message: error.message })
  }
}

type Asked = { method: string; url: URL; authorization: string; body: unknown }

async function routed(world: World, { method, url, authorization, body }: Asked): Promise<unknown> {
  for (const route of routes) {
    const match = route.method === method ? route.path.exec(url.pathname) : null
    if (!match) continue
    const account = world.sessions.get(authorization.replace('Bearer ', '')) ?? null
    if (route.isClosed && !account) throw new Failure('unauthenticated', 'not logged in')
    const input = {
      ...Object.fromEntries(url.searchParams),
      ...match.groups,
      ...(isRecord(body) ? body : {}),
    }
    return parsed(
      route.gives,
      await route.run(
        { world, account, credential: authorization.slice(7) },
        parsed(route.takes, input),
      ),
    )
  }
  throw new Failure('not_found', `no route ${method} ${url.pathname}`)
}

function parsed(schema: z.ZodType, value: unknown): unknown {
  const read = schema.safeParse(value)
  if (read.success) return read.data
  throw new Failure('invalid', read.error.issues[0]?.message ?? 'the request has another shape')
}

/** The provider's page: whoever comes is sent back at once, as somebody who agreed would be. */
function authorize(world: World, url: URL, response: ServerResponse): void {
  const pending = world.pending.get(url.searchParams.get('login') ?? '')
  const outcome = url.searchParams.has('refuse') ? 'error=access_denied' : `code=${pending?.code}`
  const location = `${pending?.redirectUri}?${outcome}&state=${pending?.state}`
  harvestQuery(new URL(location).searchParams)
  written('loopback URL', 'fake provider', location)
  response.writeHead(302, { location }).end()
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

export function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}
