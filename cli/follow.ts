/** The stream of events, taken up again where it broke: nobody who watches misses one. */
import { setTimeout as pause } from 'node:timers/promises'
import { openSocket } from '../src/wire/dial.ts'
import { Event } from '../src/wire/events.ts'
import { Failure } from '../src/wire/failure.ts'
import { jsonOf } from './disk/unknown.ts'
import type { Connection } from './connect.ts'

type Socket = ReturnType<typeof openSocket>

const quietMs = 60_000
const firstPauseMs = 500
const longestPauseMs = 15_000

/**
 * Hands over every event after `after`, for as long as the process lives.
 *
 * @throws {Failure} when the server refuses; a connection that breaks is opened again.
 */
export async function follow(
  { server, credential, ca }: Connection,
  after: number,
  heard: (event: Event) => void,
  say: (sentence: string) => void,
): Promise<never> {
  let last = after
  let pauseMs = firstPauseMs
  let wasEverOpen = false
  for (;;) {
    const url = `${server.replace(/^http/, 'ws')}/api/events?after=${last}`
    const wasOpen = await listen(openSocket(url, credential, ca), (event) => {
      // A number that was seen is not shown again, whatever the server resumes from.
      if (event.number <= last) return
      last = event.number
      pauseMs = firstPauseMs
      heard(event)
    })
    wasEverOpen ||= wasOpen
    if (!wasEverOpen) throw new Failure('unavailable', `cannot reach the server at ${server}`)
    say(`The connection broke after event ${last}; trying again.`)
    await pause(pauseMs)
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
}

/** Whether there was a connection, once it is over; throws when it was refused. */
async function listen(socket: Socket, heard: (event: Event) => void): Promise<boolean> {
  let refusal: Failure | null = null
  socket.on('unexpected-response', (_request, response) => {
    refusal = refusalOf(response.statusCode ?? 0)
    socket.terminate()
  })
  socket.on('message', (message: Buffer) => {
    const event = Event.safeParse(jsonOf(String(message)))
    if (event.success) heard(event.data)
  })
  // A socket that fails also closes; the reason is of no use to anybody who only waits.
  socket.on('error', () => {})
  const watch = watched(socket)
  let wasOpen = false
  socket.on('open', () => (wasOpen = true))
  await new Promise((resolve) => socket.on('close', resolve))
  clearInterval(watch)
  if (refusal) throw refusal
  return wasOpen
}

/** Ends a connection on which not even pings are answered: it may have died without a word. */
function watched(socket: Socket): NodeJS.Timeout {
  let isAlive = true
  for (const sign of ['ping', 'pong', 'message', 'open'] as const)
    socket.on(sign, () => (isAlive = true))
  return setInterval(() => {
    if (!isAlive) return socket.terminate()
    isAlive = false
    if (socket.readyState === socket.OPEN) socket.ping()
  }, quietMs / 2)
}

function refusalOf(status: number): Failure | null {
  if (status === 401)
    return new Failure('unauthenticated', 'the server does not accept this credential')
  if (status === 403) return new Failure('forbidden', 'only administrators may watch events')
  return null
}
