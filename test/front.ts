/**
 * An HTTP front before a provider: it counts what is asked, and can answer in the provider's place,
 * hang, or lose the provider's answer on its way back.
 */
import { createServer, type IncomingMessage, request as send, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { written } from './secrets/record.ts'

/** What happens to a request: passed on, kept without an answer, answered, or its answer lost. */
export type Fate =
  'pass' | 'hang' | 'lose' | { status: number; headers?: Record<string, string>; body?: string }

export type Front = {
  url: string
  /** The address of what stands behind. */
  behind: string
  /** Decides about each request from now on. */
  fate: (path: string) => Fate
  /** The paths that were asked, and when. */
  asked: { path: string; at: number }[]
  /** Told when an answer was lost: the provider has done its part, and nobody knows. */
  lost: () => void
  /** How many requests that hung were given up by who had sent them. */
  givenUp: number
  /** How often this path was asked. */
  count(path: string): number
}

export async function startFront(t: TestContext): Promise<Front> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('the front has no port')
  const front: Front = {
    url: `http://127.0.0.1:${address.port}`,
    behind: '',
    fate: () => 'pass',
    asked: [],
    lost: () => {},
    givenUp: 0,
    count: (path) => front.asked.filter((one) => one.path === path).length,
  }
  server.on('request', (request, response) => handle(front, request, response))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return front
}

function handle(front: Front, request: IncomingMessage, response: ServerResponse): void {
  written('provider URL', 'front', request.url ?? '')
  const path = new URL(request.url ?? '/', front.url).pathname
  front.asked.push({ path, at: Date.now() })
  const fate = front.fate(path)
  if (fate === 'hang') {
    request.socket.once('close', () => (front.givenUp += 1))
    return
  }
  if (typeof fate === 'object') {
    response.writeHead(fate.status, fate.headers).end(fate.body ?? '')
    return
  }
  const { method, headers } = request
  const onward = send(`${front.behind}${request.url}`, { method, headers }, (answer) => {
    if (fate === 'lose') {
      answer.resume().once('end', () => {
        front.lost()
        request.socket.destroy()
      })
      return
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  onward.once('error', () => response.destroy())
  request.pipe(onward)
}
