/**
 * The floor: a bare server of the same runtime, with the same TLS. Its WebSockets answer a ping
 * with the beat they were given, and its broadcast sends the same bytes to all; its one route
 * answers after one indexed select.
 */
import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import type { Store } from '../../src/db/database.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openPglite } from '../../src/db/pglite.ts'
import { sessions } from '../../src/db/schema.ts'
import { openAuthority } from '../../src/authority.ts'
import { serveParent, wall } from '../harness.ts'

type Socket = { send(text: string): void }
declare const Bun: { serve(options: object): { port: number } }

type Options = { dir: string; store: string | null; access: string; beat: string }

const sockets = new Set<Socket>()
let acks = 0

async function open({ dir, store, access, beat }: Options): Promise<{ port: number; pid: number }> {
  const authority = await openAuthority(dir, () => new Date())
  const { certificate, key } = await authority.certifyServer(['127.0.0.1'])
  const app = store === null ? null : routeOn(await opened(store))
  const server = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, tls: { cert: certificate, key }, development: false },
    fetch: (request: Request, own: { upgrade(request: Request): boolean }) => {
      if (request.headers.get('upgrade') === null) return app?.fetch(request)
      return own.upgrade(request) ? undefined : new Response(null, { status: 400 })
    },
    websocket: {
      ...{ perMessageDeflate: false, sendPings: true, idleTimeout: 60 },
      open: (ws: Socket) => void sockets.add(ws),
      close: (ws: Socket) => void sockets.delete(ws),
      message: (ws: Socket, text: string) => {
        if (text.startsWith('{"kind":"hello"')) ws.send(access)
        else if (text.startsWith('{"kind":"ping"')) ws.send(beat)
        else acks += 1
      },
    },
  })
  return { port: server.port, pid: process.pid }
}

function opened(store: string): Promise<Store> {
  return store.startsWith('postgres') ? openPostgres(store) : openPglite(store)
}

/** The session that a credential names, by its id. */
function routeOn({ db }: Store): Hono {
  const app = new Hono()
  app.post('/api/tokens', async (c) => {
    const id = c.req.header('authorization')?.slice(7).split('.')[0] ?? ''
    const [row] = await db.select().from(sessions).where(eq(sessions.id, id))
    return row ? c.json({ session: row.id, user: row.userId }) : c.json({}, 401)
  })
  return app
}

/** Says when it began. */
function broadcast({ text }: { text: string }): number {
  const at = wall()
  for (const ws of sockets) ws.send(text)
  return at
}

serveParent({ open, broadcast, counts: () => ({ links: sockets.size, acks }) })
