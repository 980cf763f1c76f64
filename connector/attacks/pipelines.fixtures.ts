/** Several messages on one connection: each is its own user's, and none is read behind a refusal. */
import { attack, closed, interim, type Family } from './attack.fixtures.ts'

export const pipelines: Family = {
  title:
    "D5: of requests in one pipeline each is its own user's, and nothing is read behind a refusal",
  attacks: (ana, bo) => {
    const hidden = bo.passed('GET /hidden')
    const a = ana.passed('GET /a')
    const hello = ana.passed('POST /a', ['Content-Length: 5'], 'hello')
    const chunked = ['Transfer-Encoding: chunked']
    return [
      attack(
        'two users in turn',
        ana.get() + bo.hidden + ana.get() + bo.hidden,
        a,
        hidden,
        a,
        hidden,
      ),
      attack(
        'a hundred',
        (ana.get() + bo.hidden).repeat(50),
        ...Array.from({ length: 50 }, () => [a, hidden]).flat(),
      ),
      attack(
        'a bad one behind a good one',
        `${ana.get()}GET / HTTP/1.0\r\n\r\n${bo.hidden}`,
        a,
        505,
      ),
      attack('a good one behind a bad one', `GET /a HTTP/1.1\r\n\r\n${bo.hidden}`, 400),
      attack(
        'a token that is bad in between',
        ana.get() + bo.hidden.replace('Bearer ', 'Bearer x') + ana.get(),
        a,
        401,
      ),
      attack(
        'none in between',
        ana.get() + bo.hidden.replace(/^Auth.*\r\n/m, '') + ana.get(),
        a,
        401,
      ),
      attack(
        'identity in between',
        ana.get() + bo.request('GET /b', 'Impersonate-User: x') + ana.get(),
        a,
        400,
      ),
      attack('behind a Connection: close', ana.get('Connection: close') + bo.hidden, a, closed),
      attack(
        'behind a Connection: CLOSE among others',
        ana.get('Connection: keep-alive, CLOSE') + bo.hidden,
        a,
        closed,
      ),
      attack('behind a body', `${ana.post('Content-Length: 5')}hello${bo.hidden}`, hello, hidden),
      attack(
        'behind a chunked body',
        `${ana.post(...chunked)}1\r\nx\r\n0\r\n\r\n${bo.hidden}`,
        ...[ana.passed('POST /a', chunked, '1\r\nx\r\n0\r\n\r\n'), hidden],
      ),
      attack(
        'behind a body, after two CR LF',
        `${ana.post('Content-Length: 5')}hello\r\n\r\n${bo.hidden}`,
        hello,
        400,
      ),
      attack('half of one behind a good one', ana.get() + bo.hidden.slice(0, -2), a, closed),
      attack(
        'a HEAD before a GET',
        ana.request('HEAD /a') + bo.hidden,
        ana.passed('HEAD /a'),
        hidden,
      ),
      attack(
        'garbage behind a HEAD',
        `${ana.request('HEAD /a')}\0\0\0\0`,
        ana.passed('HEAD /a'),
        400,
      ),
    ]
  },
}

export const expectations: Family = {
  title: 'D5: the one expectation is between caller and API server, and all others are refused',
  attacks: (ana, bo) => {
    const lines = (expect: string) => ['Content-Length: 5', `Expect: ${expect}`]
    const passed = (expect: string) =>
      ana.passed('POST /a', [`Expect: ${expect}`, 'Content-Length: 5'], 'hello')
    return [
      ...['100-continue', '100-Continue', '100-CONTINUE'].map((expect) =>
        attack(
          `${expect}, the body at once`,
          `${ana.post(...lines(expect))}hello${bo.hidden}`,
          ...[interim(100), passed(expect), bo.passed('GET /hidden')],
        ),
      ),
      attack(
        'without a body',
        ana.get('Expect: 100-continue') + bo.hidden,
        ...[interim(100), ana.passed('GET /a', ['Expect: 100-continue']), bo.passed('GET /hidden')],
      ),
      ...[
        'tea',
        '200-ok',
        '',
        '100-continue, x',
        '100-continue;q=1',
        '"100-continue"',
        '100 continue',
        'x, 100-continue',
      ].map((expect) =>
        attack(
          `an expectation of ${JSON.stringify(expect)}`,
          `${ana.post(...lines(expect))}hello${bo.hidden}`,
          417,
        ),
      ),
      attack(
        'two',
        `${ana.post(...lines('100-continue'), 'Expect: 100-continue')}hello${bo.hidden}`,
        400,
      ),
      attack(
        'two of which one is odd',
        `${ana.post(...lines('100-continue'), 'expect: x')}hello${bo.hidden}`,
        400,
      ),
      attack(
        '100-continue with both lengths',
        `${ana.post(...lines('100-continue'), 'Transfer-Encoding: chunked')}hello`,
        400,
      ),
    ]
  },
}

const to = (protocol: string) => ['Connection: Upgrade', `Upgrade: ${protocol}`]

/** Requests to upgrade that are half, to what kubectl does not speak, or with a body. */
// prettier-ignore
const odd: [line: string, lines: string[]][] = [
  ['GET /a', ['Upgrade: websocket']], ['GET /a', ['Connection: Upgrade']], ['GET /a', ['Upgrade: websocket', 'Connection: close']],
  ['GET /a', to('h2c')], ['GET /a', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQ']],
  ['GET /a', to('HTTP/2.0')], ['GET /a', to('TLS/1.0')], ['GET /a', to('SPDY/2')], ['GET /a', to('SPDY/3')], ['GET /a', to('websocket/13')],
  ['GET /a', to('websocket, h2c')], ['GET /a', to('h2c, websocket')], ['GET /a', to('SPDY/3.1, websocket')], ['GET /a', to('')],
  ['GET /a', to('"websocket"')], ['GET /a', to('web socket')], ['GET /a', to('connect-udp')], ['GET /a', to('*')], ['GET /a', to('websocket,')],
  ['GET /a', [...to('websocket'), 'Upgrade: h2c']], ['GET /a', [...to('websocket'), 'upgrade: websocket']],
  ['HEAD /a', to('websocket')], ['PUT /a', to('websocket')], ['PATCH /a', to('SPDY/3.1')], ['DELETE /a', to('SPDY/3.1')], ['OPTIONS /a', to('websocket')],
  ['POST /a', [...to('SPDY/3.1'), 'Content-Length: 5']], ['POST /a', [...to('SPDY/3.1'), 'Transfer-Encoding: chunked']],
  ['GET /a', [...to('websocket'), 'Content-Length: 5']], ['GET /a', [...to('websocket'), 'Transfer-Encoding: chunked']],
]

export const upgrades: Family = {
  title: 'D8: half an upgrade, or one to what hides requests, is refused over the wire',
  attacks: (ana, bo) =>
    odd.map(([line, lines]) =>
      attack(
        `${line}: ${lines.map((text) => JSON.stringify(text)).join(' + ')}`,
        `${ana.request(line, ...lines)}hello${bo.hidden}`,
        400,
      ),
    ),
}
