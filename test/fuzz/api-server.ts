/**
 * The API server's end of a case: keeps every byte, answers what it takes for requests, and tells
 * each answer apart by a number. It trusts what it reads; whether it should is for the judges.
 */
import type { Plan } from './cases/case.ts'
import type { End } from './pipe.ts'

export class Connection {
  readonly end: End
  /** All that came, Latin-1. */
  text = ''
  /** Where the request begins that is read now. */
  at = 0
  /** Its number, once its head is there. */
  asked: number | null = null
  isRaw = false

  constructor(end: End) {
    this.end = end
  }
}

export type Arrival = { connection: number; method: string }
type Answering = (connection: Connection, number: number, head: string) => void
/** When it answers, and whether it asks for bodies that are announced. */
type Way = { isEarly: boolean; continues: boolean }

export class ApiServer {
  readonly connections: Connection[] = []
  /** Which connection each request came on, in order, and its method. */
  readonly arrivals: Arrival[] = []
  readonly #answer: Answering
  readonly #way: Way

  constructor(way: Way, answer: Answering) {
    this.#way = way
    this.#answer = answer
  }

  accept(end: End): void {
    const connection = new Connection(end)
    this.connections.push(connection)
    end.on('error', () => {})
    end.on('end', () => end.end())
    end.on('data', (bytes: Buffer) => {
      connection.text += bytes.toString('latin1')
      while (this.#readOn(connection)) continue
    })
  }

  /** Whether a request was read to its end, and another may be there. */
  #readOn(connection: Connection): boolean {
    const { text, at } = connection
    const blank = text.indexOf('\r\n\r\n', at)
    if (connection.isRaw || blank < 0) return false
    const head = text.slice(at, blank + 4)
    if (connection.asked === null) this.#begin(connection, head)
    const end = bodyEnd(text, blank + 4, head)
    if (end < 0) return false
    const number = connection.asked ?? 0
    connection.at = end
    connection.asked = null
    if (/^Upgrade: /m.test(head)) connection.isRaw = true
    if (!this.#way.isEarly) this.#answer(connection, number, head)
    return true
  }

  #begin(connection: Connection, head: string): void {
    const arrival = {
      connection: this.connections.indexOf(connection),
      method: head.split(' ', 1)[0] ?? '',
    }
    const number = this.arrivals.push(arrival) - 1
    connection.asked = number
    if (this.#way.isEarly) this.#answer(connection, number, head)
    else if (this.#way.continues && /^expect: /im.test(head))
      connection.end.write('HTTP/1.1 100 Continue\r\n\r\n')
  }
}

/** The answer with a number. */
export function answerOf(plan: Plan, number: number, head: string): string {
  const upgrade = /^Upgrade: (.*)\r$/m.exec(head)?.[1]
  if (upgrade !== undefined && plan.switches) {
    return `HTTP/1.1 101 Switching Protocols\r\nX-Answer: ${number}\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`
  }
  const body = bodyOf(number)
  const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const isChunked = plan.answer === 'chunked'
  const lines = [
    `HTTP/1.1 ${upgrade === undefined ? '200 OK' : '403 Forbidden'}`,
    `X-Answer: ${number}`,
    isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`,
    ...(plan.answer === 'closing' ? ['Connection: close'] : []),
  ]
  const hasBody = !head.startsWith('HEAD ')
  return `${lines.join('\r\n')}\r\n\r\n${hasBody ? (isChunked ? chunks : body) : ''}`
}

export const bodyOf = (number: number) => `answer ${number}`

/** Where the body behind `head` ends, or -1 while it is not all there. */
function bodyEnd(text: string, from: number, head: string): number {
  if (/^transfer-encoding: /im.test(head)) return chunksEnd(text, from)
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
  return text.length >= from + length ? from + length : -1
}

function chunksEnd(text: string, from: number): number {
  for (let at = from; ;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return -1
    const size = Number.parseInt(text.slice(at, line), 16)
    if (!(size > 0)) {
      const end = text.indexOf('\r\n\r\n', line)
      return end < 0 ? -1 : end + 4
    }
    at = line + 2 + size + 2
    if (at > text.length) return -1
  }
}
