/** An API server that answers what it should not, and what of it reaches the caller. */

export type Answered = {
  name: string
  /** What is asked, as ana, on a connection that is then to close. */
  line: string
  lines: string[]
  /** What the API server sends at once, and whether it then ends. */
  answer: string
  ends: boolean
  /**
   * All that the caller gets: these bytes, a refusal, or (`part`) a part of them that is seen to be
   * one; a refusal in its place, where nothing of them has been passed on yet.
   */
  caller: { kind: 'bytes'; text: string } | { kind: 'part'; of: string } | { kind: 'refused' }
  /** Whether the API server's connection may carry ana's next request. */
  isKept: boolean
}

const ok = 'HTTP/1.1 200 OK\r\n'
const ending = 'Connection: close\r\n\r\n'
const two = 'Content-Length: 2\r\n'
const chunked = 'Transfer-Encoding: chunked\r\n'
const forged = 'HTTP/1.1 200 OK\r\nX-Answers: forged\r\nContent-Length: 0\r\n\r\n'
const get = { line: 'GET /a', lines: ['Connection: close'], ends: false }

function refused(name: string, answer: string, more: Partial<Answered> = {}): Answered {
  return { ...get, name, answer, caller: { kind: 'refused' }, isKept: false, ...more }
}

function given(name: string, answer: string, text: string, more: Partial<Answered> = {}): Answered {
  return { ...get, name, answer, caller: { kind: 'bytes', text }, isKept: false, ...more }
}

const kept = { isKept: true }

/** Heads that are none: what is behind them is nobody's answer. */
// prettier-ignore
const unreadable = [
  `${two}Content-Length: 3\r\n`, `${two}${two}`, `${two}${chunked}`, `${chunked}${two}`, 'Content-Length: +2\r\n', 'Content-Length: 2, 2\r\n',
  'Content-Length: 0x2\r\n', 'Content-Length: \r\n', 'Content-Length: -2\r\n', 'Content-Length: 02\r\n', `${chunked}${chunked}`, 'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding: identity\r\n', 'Transfer-Encoding: Chunked\r\n', 'Content-Length : 2\r\n', ' Content-Length: 2\r\n', `X: a\r\n ${two}`, `X: a\n${two}`, `X: a\r${two}`,
  `X: \0\r\n${two}`, `: a\r\n${two}`, `nothing\r\n${two}`, `X: \x1b[2J\r\n${two}`, `X: ${'a'.repeat(66_000)}\r\n${two}`, `${'X: a\r\n'.repeat(201)}${two}`,
].map((lines) => refused(`a head with ${short(lines)}`, `${ok}${lines}\r\nok${forged}`))

// prettier-ignore
const oddStatuses = [
  'HTTP/2.0 200 OK', 'HTTP/1.2 200 OK', 'HTTP/1.1 99 X', 'HTTP/1.1 600 X', 'HTTP/1.1 000 X', 'HTTP/1.1 2000 OK', 'HTTP/1.1 200OK', 'HTTP/1.1  200 OK',
  'http/1.1 200 OK', 'HTTP/1.1 +200 OK', '\r\nHTTP/1.1 200 OK', ' HTTP/1.1 200 OK', 'HTTP/1.1 200 O\x1b[2JK', 'HTTP/1.1 200 \xff', 'SSH-2.0', '', 'ICY 200 OK', 'HTTP/1.1',
].map((line) => refused(`a status line of ${short(line)}`, `${line}\r\n${two}\r\nok${forged}`))

/** client-go goes where it is sent, with its token (CVE-2022-3172). */
// prettier-ignore
const away = [
  'https://evil.test/', 'http://127.0.0.1:1/', 'HTTP://evil.test', '//evil.test/', '///evil.test', '/\\evil.test', '\\\\evil.test', 'https:evil.test', 'https:/evil.test',
  'javascript:alert(1)', '/\t/evil.test', '\t//evil.test', 'evil.test:443', '/a b', '/\xa0/evil.test', 'x+y://a',
].map((to) => refused(`a redirect to ${short(to)}`, `HTTP/1.1 302 Found\r\nLocation: ${to}\r\nContent-Length: 0\r\n\r\n`))

const stays = [
  '/b',
  '/',
  '/b?c=https://d//e',
  'b/',
  './b',
  '?c=d:e',
  '/b:c',
  '#a',
  '',
  '/a//b',
].map((to) =>
  given(
    `a redirect to ${short(to)}`,
    `HTTP/1.1 302 Found\r\nLocation: ${to}\r\nContent-Length: 0\r\n\r\n`,
    `HTTP/1.1 302 Found\r\nLocation: ${to}\r\nContent-Length: 0\r\n${ending}`,
    kept,
  ),
)

const statuses = [300, 301, 303, 304, 307, 308].map((status) =>
  refused(
    `${status} to another place`,
    `HTTP/1.1 ${status} X\r\nLocation: /a\r\nLocation: //b\r\nContent-Length: 0\r\n\r\n`,
  ),
)

const without = (status: string, lines: string, gone: string, more: Partial<Answered> = {}) =>
  given(
    `${status} with ${short(lines)}`,
    `HTTP/1.1 ${status}\r\n${lines}\r\n`,
    `HTTP/1.1 ${status}\r\n${gone}${ending}`,
    { ...kept, ...more },
  )

const head = { line: 'HEAD /a' }

/** Answers that have no body, whatever they say of one. */
const bodiless = [
  without('204 No Content', 'Content-Length: 5\r\n', ''),
  without('204 No Content', chunked, ''),
  without('304 Not Modified', 'Content-Length: 5\r\n', 'Content-Length: 5\r\n'),
  without('304 Not Modified', chunked, ''),
  without('200 OK', 'Content-Length: 5\r\n', 'Content-Length: 5\r\n', head),
  without('200 OK', chunked, '', head),
  ...['204 No Content', '304 Not Modified'].map((status) =>
    given(
      `bytes behind ${status}`,
      `HTTP/1.1 ${status}\r\n\r\n${forged}`,
      `HTTP/1.1 ${status}\r\n${ending}`,
    ),
  ),
  given(
    'bytes behind an answer to HEAD',
    `${ok}${two}\r\nok${forged}`,
    `${ok}${two}${ending}`,
    head,
  ),
]

const hints = 'HTTP/1.1 103 Early Hints\r\n'

const bodies = [
  given('more than its length', `${ok}${two}\r\nok${forged}`, `${ok}${two}${ending}ok`),
  given(
    'more than its chunks',
    `${ok}${chunked}\r\n0\r\n\r\n${forged}`,
    `${ok}${chunked}${ending}0\r\n\r\n`,
  ),
  given(
    'trailers',
    `${ok}${chunked}\r\n0\r\nX-Sum: 1\r\n\r\n`,
    `${ok}${chunked}${ending}0\r\nX-Sum: 1\r\n\r\n`,
    kept,
  ),
  given('no length', `${ok}\r\nok${forged}`, `${ok}${ending}ok${forged}`, { ends: true }),
  given('HTTP/1.0 with a length', `HTTP/1.0 200 OK\r\n${two}\r\nok`, `${ok}${two}${ending}ok`),
  given(
    'a word that it closes',
    `${ok}connection: CLOSE\r\n${two}\r\nok`,
    `${ok}${two}${ending}ok`,
  ),
  given(
    'what is between hops',
    `${ok}Keep-Alive: 5\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nProxy-Authenticate: x\r\nTE: x\r\nTrailer: x\r\nProxy-Connection: x\r\n${two}\r\nok`,
    `${ok}${two}${ending}ok`,
    kept,
  ),
  given(
    'sixteen interim answers',
    `${hints.concat('\r\n').repeat(16)}${ok}${two}\r\nok`,
    `${hints.concat('\r\n').repeat(16)}${ok}${two}${ending}ok`,
    kept,
  ),
  given(
    'an interim answer with a length',
    `${hints}${two}\r\n${ok}${two}\r\nok`,
    `${hints}\r\n${ok}${two}${ending}ok`,
    kept,
  ),
  refused('a hundred interim answers', `${hints}\r\n`.repeat(100)),
  refused('an interim answer with two lengths', `${hints}${two}${two}\r\n${ok}${two}\r\nok`),
  refused(
    'a switch that nobody asked for',
    `HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n${forged}`,
  ),
  refused('nothing, and gone', '', { ends: true }),
  refused('half a head, and gone', `${ok}X: `, { ends: true }),
  ...[
    ['less than its length', two.replace('2', '9'), 'ok'],
    ['less than its chunks', chunked, '5\r\nhe'],
    ['a chunk with an extension', chunked, '2;a=b\r\nok\r\n0\r\n\r\n'],
    ['a chunk with bare LF', chunked, '2\nok\r\n0\r\n\r\n'],
    ['a chunk of sixteen digits', chunked, '0000000000000002\r\nok\r\n0\r\n\r\n'],
    ['a chunk longer than its size', chunked, '2\r\nokay\r\n0\r\n\r\n'],
    ['trailers without end', chunked, `0\r\n${'X: a\r\n'.repeat(2_000)}`],
  ].map(([name = '', lines = '', body = '']): Answered => ({
    ...refused(name, `${ok}${lines}\r\n${body}`, { ends: true }),
    caller: { kind: 'part', of: `${ok}${lines}${ending}${body}` },
  })),
]

const asks = { lines: ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'] }
const switched = 'HTTP/1.1 101 Switching Protocols\r\n'
const toWebSocket = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'

/** Upgrades that are not granted. What the caller sent behind them is for nobody. */
const upgrades = [
  ...[
    '200 OK',
    '201 X',
    '400 X',
    '401 X',
    '403 X',
    '404 X',
    '426 Upgrade Required',
    '500 X',
    '503 X',
  ].map((status) =>
    given(
      `${status} to an upgrade`,
      `HTTP/1.1 ${status}\r\n${toWebSocket}${two}\r\nok`,
      `HTTP/1.1 ${status}\r\n${two}${ending}ok`,
      asks,
    ),
  ),
  given(
    '204 to an upgrade',
    `HTTP/1.1 204 X\r\n${toWebSocket}\r\n`,
    `HTTP/1.1 204 X\r\n${ending}`,
    asks,
  ),
  given(
    '304 to an upgrade',
    `HTTP/1.1 304 X\r\n${two}\r\n`,
    `HTTP/1.1 304 X\r\n${two}${ending}`,
    asks,
  ),
  given('200 without an end', `${ok}${toWebSocket}\r\nok`, `${ok}${ending}ok`, {
    ...asks,
    ends: true,
  }),
  given(
    '100 and 403',
    `HTTP/1.1 100 X\r\n\r\nHTTP/1.1 403 X\r\n${two}\r\nok`,
    `HTTP/1.1 100 X\r\n\r\nHTTP/1.1 403 X\r\n${two}${ending}ok`,
    asks,
  ),
  ...[
    'Upgrade: h2c\r\n',
    'Upgrade: SPDY/3.1\r\n',
    '',
    'Upgrade:\r\n',
    'Upgrade: websocket, h2c\r\n',
    'Upgrade: websocket\r\nUpgrade: h2c\r\n',
    'Upgrade: websocket\r\nUpgrade: websocket\r\n',
    `Upgrade: websocket\r\n${two}${two}`,
    `Upgrade: websocket\r\n${two}${chunked}`,
    'Upgrade: websocket\nX: a\r\n',
    'Upgrade: websocket/13\r\n',
  ].map((lines) => refused(`101 with ${short(lines)}`, `${switched}${lines}\r\n${forged}`, asks)),
  refused('102 for ever', 'HTTP/1.1 102 X\r\n\r\n'.repeat(50), asks),
  refused('garbage to an upgrade', '\x81\x05hello\r\n\r\n', asks),
]

export const answers: Record<string, Answered[]> = {
  "D5: an answer that can not be read is nobody's": [...unreadable, ...oddStatuses],
  'D5: an answer ends where one reading has it, or with its connection': [...bodiless, ...bodies],
  'D9: a redirect is never followed, and sends nobody elsewhere': [...away, ...stays, ...statuses],
  'D8: an upgrade that is not granted ends both connections': upgrades,
}

function short(text: string): string {
  return JSON.stringify(text.length > 50 ? `${text.slice(0, 40)}…` : text)
}
