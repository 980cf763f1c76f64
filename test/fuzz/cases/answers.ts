/** Answers of an API server that is hostile or broken. */
import type { Case } from './case.ts'
import * as odd from './dictionary.ts'
import { damaged, pieces } from './mutation.ts'
import type { Random } from './random.ts'
import { planOf } from './requests.ts'
import { tokens } from './tokens.ts'

// prettier-ignore
const statusLines = [
  'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 201 Created', 'HTTP/1.1 404 Not Found', 'HTTP/1.1 204 No Content',
  'HTTP/1.1 304 Not Modified', 'HTTP/1.1 302 Found', 'HTTP/1.1 500 Internal Server Error', 'HTTP/1.1 206 Partial Content', 'HTTP/1.1 205 Reset Content',
]
// prettier-ignore
const oddStatusLines = [
  'HTTP/1.0 200 OK', 'HTTP/1.0 200 OK', 'HTTP/1.0 404 Not Found', 'HTTP/1.1 101 Switching Protocols', 'HTTP/1.1 200', 'HTTP/1.1 200 ', 'HTTP/1.1  200 OK', 'HTTP/1.1 2000 OK', 'HTTP/1.1 20 OK', 'HTTP/1.1 099 X', 'HTTP/1.1 600 X',
  'HTTP/2 200', 'HTTP/2.0 200 OK', 'http/1.1 200 OK', 'HTTP/1.1 200 \xe4', 'HTTP/1.1 200 a\0b', 'ICY 200 OK', 'HTTP/1.1 101 Switching Protocols', 'garbage', '',
  '\r\nHTTP/1.1 200 OK', 'HTTP/1.1 100 Continue', 'HTTP/1.1 103 Early Hints', 'HTTP/1.1 199 X', 'HTTP/1.1 +20 OK', 'HTTP/1.2 200 OK', 'GET / HTTP/1.1', 'HTTP/1.1 200\tOK',
]
// prettier-ignore
const fields = [
  'Content-Type: application/json', 'Content-Type: text/plain', 'Audit-Id: x', 'Date: Thu, 01 Jan 2026 00:00:00 GMT', 'Warning: 299 - "\xe4"', 'Location: https://evil/',
  'Location: /x', 'Set-Cookie: a\r\nSet-Cookie: b', 'Connection: close', 'Connection: keep-alive', 'Connection: X-Own\r\nX-Own: 1', 'Keep-Alive: timeout=5',
  'Upgrade: h2c', 'Trailer: X-Sum', 'Connection: Upgrade\r\nUpgrade: websocket', 'Proxy-Authenticate: Basic', 'TE: x', 'Proxy-Connection: close', 'Pragma: no-cache',
]
const framings = ['Content-Length: {n}', 'Content-Length: {n}', 'Transfer-Encoding: chunked', '']
const early = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'
const forged = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged'

/** A request of each kind whose answer is read in its own way. */
// prettier-ignore
const asked = [
  'GET /api HTTP/1.1', 'GET /api HTTP/1.1', 'HEAD /api HTTP/1.1', 'POST /api HTTP/1.1\r\nContent-Length: 2',
  'GET /exec HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket', 'PUT /api HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked',
]

export function answerCase(random: Random): Case {
  const lead = random.once(8)
    ? random.pick([early, early.repeat(3), early.repeat(20), 'HTTP/1.1 100 Continue\r\n\r\n'])
    : ''
  let text = lead + answerText(random)
  if (random.once(4)) text = damaged(text, random)
  if (random.once(10)) text += random.pick([forged, '\r\n', '\0', 'x'])
  const [line = '', ...more] = random.pick(asked).split('\r\n')
  const head = [line, 'Host: a', `Authorization: Bearer ${tokens['u-ana']}`, ...more].join('\r\n')
  const body = line.startsWith('POST') ? '{}' : line.startsWith('PUT') ? '2\r\n{}\r\n0\r\n\r\n' : ''
  const next = `GET /next HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${tokens['u-ana']}\r\n\r\n`
  return {
    hostile: 'upstream',
    sent: [`${head}\r\n\r\n${body}`, ...(random.once(2) ? [next] : [])],
    answered: pieces(text, random),
    closes: random.once(3),
    plan: planOf(random),
    ends: 'in quiet',
  }
}

function answerText(random: Random): string {
  const isOdd = random.once(2)
  const line = isOdd && random.once(2) ? random.pick(oddStatusLines) : random.pick(statusLines)
  let framing = isOdd && random.once(2) ? random.pick(odd.framings) : random.pick(framings)
  const lines = random.picks(fields, random.below(4))
  if (isOdd && random.once(3)) lines.push(random.pick(odd.oddFields))
  if (line.includes(' 101 ')) lines.push('Connection: Upgrade', 'Upgrade: websocket')
  const bodiless = /^HTTP\/1\.1 (?:1|204|304)/.test(line) && !random.once(5)
  if (bodiless && random.once(2)) framing = ''
  const body = bodiless ? '' : bodyFor(framing, isOdd, random)
  const head = [line, ...lines, ...(framing ? [framing] : [])].join('\r\n')
  return `${head.replaceAll('{n}', String(body.length))}\r\n\r\n${body}`
}

function bodyFor(framing: string, isOdd: boolean, random: Random): string {
  if (/chunked/i.test(framing)) {
    if (isOdd && random.once(2)) return `0\r\n${random.pick(odd.trailers)}\r\n\r\n`
    return random.pick(isOdd && random.once(2) ? odd.oddChunkedBodies : odd.chunkedBodies)
  }
  return random.pick([
    '',
    'ok',
    '{"kind":"Status"}',
    forged,
    '\0\xff',
    'x'.repeat(random.below(400)),
  ])
}
