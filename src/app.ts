/**
 * HTTP: mounts the table of routes, and is the one place where a failure becomes an answer.
 *
 * Three things stand beside the table: health, the public keys, and the two WebSockets (the stream
 * of events and the links of connectors).
 */
import type { BlockList } from 'node:net'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { actorOf, admit, callerAddress } from './admit.ts'
import type { Actor, Call, Row, Who } from './call.ts'
import { fromDatabase } from './db/errors.ts'
import { newest } from './events.ts'
import type { Follow } from './follow.ts'
import type { Hub } from './hub/hub.ts'
import { inputOf, maxBodyBytes, queryOf } from './input.ts'
import type { RequestCounts } from './metrics.ts'
import { openApi } from './openapi.ts'
import { routes } from './routes.ts'
import { rangesOf } from './settings-fields.ts'
import { publicKeys } from './signing.ts'
import type { Peer } from './sockets.ts'
import { Failure, statusOf } from './wire/failure.ts'
import { EventQuery } from './wire/events.ts'
import { log } from './wire/log.ts'
import { metricsType } from './wire/prometheus.ts'

export type AppParts = Pick<Call, 'db' | 'settings' | 'sealer' | 'authority' | 'providerFetch'> & {
  hub: Hub
  follow: Follow
  requests: RequestCounts
  clock: () => Date
}

/** Tests call `app.fetch` with a request alone: then nothing of this is there. */
type Env = { Bindings: Partial<Peer> }
type C = Context<Env>
export type App = Hono<Env>

export function createApp(parts: AppParts): App {
  const app: App = new Hono<Env>()
  app.onError((error, c) => refusal(c, error))
  app.notFound((c) => notFound(c))
  app.use(longBodies(), securityHeaders(isStrict(parts.settings)), foreignOrigins(parts))

  addHealth(app, parts.db)
  app.get('/.well-known/jwks.json', async (c) =>
    c.json({ keys: await publicKeys(parts.db, parts.clock()) }),
  )
  app.get('/api/openapi.json', (c) => c.json(openApi(routes, parts.settings.url)))
  app.get('/api/events', (c, next) => (isUpgrade(c) ? followEvents(c, parts) : next()))
  app.get('/api/link', (c) => openLink(c, parts))

  const trusted = rangesOf(parts.settings.trustedProxies)
  for (const row of routes) {
    app.on(row.method, row.path, counted(parts.requests, row.who), (c) =>
      answer(c, row, parts, trusted),
    )
  }
  return app
}

async function answer(c: C, row: Row, parts: AppParts, trusted: BlockList): Promise<Response> {
  const { db, settings, sealer, authority, providerFetch, hub: links } = parts
  const now = parts.clock()
  const actor = await admitted(c, row.who, parts)
  const input = await inputOf(c.req.raw, row.method, c.req.param())
  const address = addressOf(c, trusted)
  const call: Call = {
    ...{ db, actor, address, now, settings, sealer, authority, links, providerFetch },
  }
  return c.json((await row.run(call, input)) as object)
}

function counted(requests: RequestCounts, who: Who): MiddlewareHandler<Env> {
  return async (c, next) => {
    await next()
    requests.count(who, c.res.status)
  }
}

/** Health and metrics on a listener of their own, for a network that may not reach the API. */
export function createHealth(db: Call['db'], metrics: () => Promise<string>): App {
  const app: App = new Hono<Env>()
  app.onError((error, c) => refusal(c, error))
  app.notFound((c) => c.json({ code: 'not_found', message: 'no such route' }, 404))
  app.use(longBodies(), securityHeaders(false))
  addHealth(app, db)
  app.get('/metrics', async (c) => c.body(await metrics(), 200, { 'Content-Type': metricsType }))
  return app
}

/** Healthy: the process answers. Ready: its database does, too. */
function addHealth(app: App, db: Call['db']): void {
  app.get('/healthz', (c) => c.json({}))
  app.get('/readyz', async (c) => {
    const revision = await newest(db).catch((thrown: unknown) => {
      const cause = fromDatabase(thrown)
      throw new Failure('unavailable', 'the database cannot be read', { cause })
    })
    return c.json({ revision })
  })
}

/** Routes for anyone look at no credential: what is not needed cannot be confused. */
async function admitted(c: C, who: Who, { db, clock, settings }: AppParts): Promise<Actor> {
  if (who === 'anyone') return { kind: 'stranger' }
  const actor = await actorOf(db, c.req.header('authorization'), clock(), settings, who)
  admit(actor, who)
  return actor
}

function addressOf(c: C, trusted: BlockList): string {
  const peer = bindings(c).address ?? 'unknown'
  return callerAddress(peer, c.req.header('x-forwarded-for'), trusted)
}

function isUpgrade(c: C): boolean {
  return c.req.header('upgrade')?.toLowerCase() === 'websocket'
}

/** The stream of events. Whether the reader may still read is asked again before each batch. */
async function followEvents(c: C, parts: AppParts): Promise<Response> {
  await admitted(c, 'admin', parts)
  const query = EventQuery.safeParse(queryOf(c.req.url))
  if (!query.success) throw new Failure('invalid', 'after: must be the number of an event')
  const authorization = c.req.header('authorization')
  const mayRead = async (): Promise<void> =>
    admit(await actorOf(parts.db, authorization, parts.clock(), parts.settings), 'admin')
  return upgradeOf(c)((socket) => parts.follow.begin(socket, query.data.after, mayRead))
}

async function openLink(c: C, parts: AppParts): Promise<Response> {
  const actor = await admitted(c, 'connector', parts)
  if (actor.kind !== 'connector') throw new Error('a link is opened by a connector')
  return upgradeOf(c)((socket) => {
    const link = parts.hub.attach(actor, socket)
    return { message: (text) => link.receive(text), closed: (code) => link.detach(code) }
  })
}

function bindings(c: C): Partial<Peer> {
  const env: Partial<Peer> | undefined = c.env
  return env ?? {}
}

function upgradeOf(c: C): NonNullable<Peer['upgrade']> {
  const { upgrade } = bindings(c)
  if (!upgrade) throw new Failure('invalid', 'this address is for WebSockets')
  return upgrade
}

/** One translator of errors: a `Failure` is answered, whatever else is thrown is a bug. */
function refusal(c: C, thrown: unknown): Response {
  const error = fromDatabase(thrown)
  const where = { method: c.req.method, path: c.req.path }
  if (error instanceof Failure) {
    if (error.cause !== undefined) log('info', 'request refused', { ...where, error })
    const { code, message } = error
    if (code === 'unauthenticated') c.header('WWW-Authenticate', 'Bearer')
    return c.json({ code, message }, statusOf[code])
  }
  const stack = error instanceof Error ? error.stack : undefined
  log('error', 'request failed', { ...where, error, stack })
  return c.json({ code: 'internal', message: 'internal error' }, 500)
}

function notFound(c: C): Response {
  const asked = c.req.path.split('/')
  const others = routes.filter(({ path }) => {
    const parts = path.split('/')
    const fits = (part: string, at: number) => part.startsWith(':') || part === asked[at]
    return parts.length === asked.length && parts.every(fits)
  })
  if (others.length === 0) return c.json({ code: 'not_found', message: 'no such route' }, 404)
  c.header('Allow', [...new Set(others.map(({ method }) => method))].join(', '))
  return c.json({ code: 'invalid', message: 'this route does not take this method' }, 405)
}

/**
 * Whoever sends a body of no announced length, or of more than any row takes, gets one answer: who
 * is refused before the end of it could pour on into a connection that stays.
 */
function longBodies(): MiddlewareHandler<Env> {
  return async (c, next) => {
    await next()
    const length = Number(c.req.header('content-length') ?? 0)
    const isLong = c.req.header('transfer-encoding') !== undefined || length > maxBodyBytes
    if (isLong) c.header('Connection', 'close')
  }
}

/** With a certificate of our own CA, HSTS would lock people out of the same host's other ports. */
function isStrict({ url, tls }: AppParts['settings']): boolean {
  return url.startsWith('https:') && tls.kind !== 'own'
}

/** Answers are JSON for programs: no browser may frame them, run them, guess at them or keep them. */
function securityHeaders(isHttpsOnly: boolean): MiddlewareHandler<Env> {
  return async (c, next) => {
    await next()
    c.header('X-Content-Type-Options', 'nosniff')
    c.header('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'")
    c.header('Referrer-Policy', 'no-referrer')
    if (c.req.path.startsWith('/api')) c.header('Cache-Control', 'no-store')
    if (isHttpsOnly) c.header('Strict-Transport-Security', 'max-age=31536000')
  }
}

/**
 * A page of another site changes nothing here and opens no WebSocket (security.md L13), whatever
 * credential a browser might send along with it. Browsers say where a page is from in two headers:
 * either is enough to refuse.
 */
function foreignOrigins({ settings }: AppParts): MiddlewareHandler<Env> {
  return async (c, next) => {
    const origin = c.req.header('origin')
    const site = c.req.header('sec-fetch-site') ?? 'none'
    const isForeign =
      (origin !== undefined && origin !== settings.url) || !['same-origin', 'none'].includes(site)
    const isReading = (c.req.method === 'GET' || c.req.method === 'HEAD') && !isUpgrade(c)
    if (isForeign && !isReading) {
      throw new Failure('forbidden', 'the request comes from a page of another site')
    }
    await next()
  }
}
