/**
 * The API server of one connector, reduced to a watch that writes a line every few milliseconds and
 * to bindings. Each line says when it was written, by the clock that the callers read it by.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { connect, createServer as createPipe, type Socket } from 'node:net'
import { cluster, type Cluster } from '../../connector/cluster/fixtures.ts'
import type { Serving } from '../../connector/splice/listen.ts'
import type { Ends } from './ends.ts'

/** A request as it came here: who it is, in the connector's words. */
export type Arrived = {
  at: number
  id: string
  user: string
  session: string
  groups: string[]
}

const lineEveryMs = 60
/** As long as it may take to connect: what is judged before that is old by then. */
export const slowestDialMs = 120

export type Upstream = { port: number }

export async function startUpstream(
  t: Ends,
  serving: Serving,
  arrived: (request: Arrived) => void,
  dialMs: () => number,
): Promise<Upstream> {
  const bindings = await cluster(t)
  const watching = new Set<ServerResponse>()
  const server = createServer(serving, (request, response) => {
    response.on('error', () => {})
    const url = new URL(request.url ?? '/', 'https://upstream')
    const id = url.searchParams.get('stream')
    if (id === null) return void answer(bindings, request, response)
    arrived({ at: performance.now(), id, ...identityOf(request) })
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write(line())
    watching.add(response)
    response.on('close', () => watching.delete(response))
  })
  server.on('tlsClientError', () => {})
  const writing = setInterval(() => {
    const written = line()
    for (const response of watching) response.write(written)
  }, lineEveryMs)
  const port = await listening(server)
  const near = await startSlowDoor(t, port, dialMs)
  t.after(() => {
    clearInterval(writing)
    server.close()
    server.closeAllConnections()
  })
  return { port: near }
}

/** `@12345.678;`: the instant it was written. */
const line = () => `@${performance.now().toFixed(3)};`

/** When the lines in `text` were written, and what of it is no whole line yet. */
export function readLines(text: string): { written: number[]; rest: string } {
  const written = [...text.matchAll(/@([0-9.]+);/g)].map(([, at]) => Number(at))
  return { written, rest: text.slice(text.lastIndexOf(';') + 1).slice(-64) }
}

function identityOf({ rawHeaders }: IncomingMessage): Omit<Arrived, 'at' | 'id'> {
  const of = (name: string) =>
    rawHeaders.flatMap((each, index) => {
      const isName = index % 2 === 0 && each.toLowerCase() === name
      return isName ? [rawHeaders[index + 1] ?? ''] : []
    })
  const [user = ''] = of('impersonate-uid')
  const [session = ''] = of('impersonate-extra-access.infra%2fsession')
  return { user, session, groups: of('impersonate-group').toSorted() }
}

async function answer(
  { ask }: Cluster,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url = '/' } = request
  // A watch of bindings hears of nothing here.
  if (url.includes('watch=1')) return response.writeHead(200).flushHeaders()
  if (!url.startsWith('/apis/rbac.')) return void response.writeHead(404).end('{}')
  let text = ''
  for await (const part of request) text += String(part)
  const body = text === '' ? undefined : (JSON.parse(text) as object)
  const answered = await ask(method as 'GET', url, body).catch(() => ({ status: 500, body: {} }))
  response.writeHead(answered.status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answered.body))
}

/** Takes a moment before it connects anybody. */
async function startSlowDoor(t: Ends, port: number, dialMs: () => number): Promise<number> {
  const open = new Set<Socket>()
  const door = createPipe((near) => {
    open.add(near)
    near.on('error', () => {}).on('close', () => open.delete(near))
    near.pause()
    setTimeout(() => {
      if (near.destroyed) return
      const far = connect(port, '127.0.0.1')
      far.on('error', () => near.destroy()).on('close', () => near.destroy())
      near.on('close', () => far.destroy())
      near.pipe(far).pipe(near)
    }, dialMs())
  })
  t.after(() => {
    door.close()
    for (const socket of open) socket.destroy()
  })
  return listening(door)
}

async function listening(server: ReturnType<typeof createPipe>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
