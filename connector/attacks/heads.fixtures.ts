/** Lines, names, versions and methods: what is not a head of HTTP/1.1 to every reader. */
import { attack, closed, head, type Family } from './attack.fixtures.ts'

/** What a head may not hold between its other lines. */
const oddLines = [
  ...[
    'X: a\nImpersonate-Group: x',
    'X: a\n',
    '\nX: a',
    'X: a\rb',
    'X: a\r',
    '\rX: a',
    'X\n: a',
    'X:\ra',
    'X: a\n\r',
  ],
  ...[
    'X: a\0',
    'X\0: a',
    '\0',
    'X: \0a',
    ' X: a',
    '\tX: a',
    'X: a\r\n b',
    'X: a\r\n\tb',
    'X: a\r\n ',
    ' ',
  ],
  ...[
    'X : a',
    'X\t: a',
    'X\x0b: a',
    ': a',
    ':',
    'nothing',
    'X',
    'X Y: a',
    'X(y): a',
    'X@: a',
    'X/: a',
    'X[0]: a',
  ],
  ...[
    'X{: a',
    '"X": a',
    'X,: a',
    'X;: a',
    'X<>: a',
    'X?: a',
    'X=: a',
    'X\\: a',
    'X\x7f: a',
    '\xffX: a',
    'X\xe4: a',
  ],
  ...[
    'X: \xe4',
    'X: \xc3\xa4',
    'X: \x80',
    'X: \x85',
    'X: \xa0',
    'X: \xff',
    'X: \x7f',
    'X: \x01',
    'X: \x08',
    'X: \x1b[2J',
  ],
  ...[
    'X: \x0b',
    'X: \x0c',
    'X: \x1f',
    '\xef\xbb\xbfX: a',
    'X: a\x0bImpersonate-Group: x',
    'Host: a',
    'host: b',
  ],
  ...[
    'Authorization: Bearer x',
    'authorization: Basic eDp5',
    'Content-Type: a\r\nContent-Type: b',
    'HOST:',
  ],
]

const oddHosts = [
  ...[
    '',
    'a, b',
    'a b',
    'u@a',
    'u:p@a',
    'a/b',
    'a?b',
    'a#b',
    'a:b',
    'a:',
    'a:1:2',
    'a:999999',
    '[::1',
    '::1',
  ],
  ...['[a', '"a"', 'a\\b', 'http://a', 'a%00', '\xe4', 'a;b', '*', '[::1]x', 'a\tb'],
]

// prettier-ignore
const oddFirstLines: [line: string, status: number][] = [
  ['GET /a HTTP/1.0', 505], ['GET /a HTTP/0.9', 505], ['GET /a HTTP/1.2', 505], ['GET /a HTTP/2.0', 505],
  ['GET /a HTTP/3.0', 505], ['PRI * HTTP/2.0', 505], ['GET /a HTTP/1.10', 400], ['GET /a HTTP/01.1', 400],
  ['GET /a HTTP/1.1.1', 400], ['GET /a HTTP/1', 400], ['GET /a HTTP/2', 400], ['GET /a HTTP/1.x', 400],
  ['GET /a http/1.1', 400], ['GET /a Http/1.1', 400], ['GET /a HTTP 1.1', 400], ['GET /a HTTP /1.1', 400],
  ['GET /a HTTP/1,1', 400], ['GET /a HTTP/+1.1', 400], ['GET /a HTTP/1.1 ', 400], ['GET /a HTTP/1.1\t', 400],
  ['GET /a HTTP/1.1x', 400], ['GET /a HTTP/1.1 HTTP/1.1', 400], ['GET /a HTTPS/1.1', 400], ['GET /a ICAP/1.0', 400],
  ['GET /a RTSP/1.0', 400], ['GET /a', 400], ['GET /a ', 400], ['GET', 400], ['', 400], [' GET /a HTTP/1.1', 400],
  ['GET  /a HTTP/1.1', 400], ['GET /a  HTTP/1.1', 400], ['GET\t/a HTTP/1.1', 400], ['GET /a\tHTTP/1.1', 400],
  ['GET\x0b/a HTTP/1.1', 400], ['GET\xa0/a HTTP/1.1', 400], ['GET /a b HTTP/1.1', 400], ['GET /a\0 HTTP/1.1', 400],
  ['GET\0 /a HTTP/1.1', 400], ['GET /a HTTP/1.1\0', 400], ['GET /a\rHTTP/1.1', 400], ['GET /a\nHTTP/1.1', 400],
  ['\r\nGET /a HTTP/1.1', 400], ['\nGET /a HTTP/1.1', 400], ['\0GET /a HTTP/1.1', 400], ['\xef\xbb\xbfGET /a HTTP/1.1', 400],
  [' /a HTTP/1.1', 400], ['/a HTTP/1.1', 400], ['G ET /a HTTP/1.1', 400], ['GET, /a HTTP/1.1', 400], ['GET: /a HTTP/1.1', 400],
  ['G\xc9T /a HTTP/1.1', 400], ['(GET) /a HTTP/1.1', 400], ['get /a HTTP/1.1', 405], ['Get /a HTTP/1.1', 405],
  ['CONNECT a:443 HTTP/1.1', 405], ['CONNECT /a HTTP/1.1', 405], ['TRACE /a HTTP/1.1', 405], ['TRACK /a HTTP/1.1', 405],
  ['DEBUG /a HTTP/1.1', 405], ['PROPFIND /a HTTP/1.1', 405], ['LOCK /a HTTP/1.1', 405], ['SEARCH /a HTTP/1.1', 405],
  ['QUERY /a HTTP/1.1', 405], ['PURGE /a HTTP/1.1', 405], ['LINK /a HTTP/1.1', 405], ['M-SEARCH /a HTTP/1.1', 405],
  ['GETT /a HTTP/1.1', 405], ['X /a HTTP/1.1', 405], [`${'X'.repeat(5000)} /a HTTP/1.1`, 405],
  ['HTTP/1.1 200 OK', 400], ['PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET /a HTTP/1.1', 400], ['*1\r\n$4\r\nPING', 400],
]

const short = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 50)}…` : text)

export const heads: Family = {
  title: 'D5: a head with more than one reading is refused',
  attacks: (ana, bo) => {
    const authorization = `Authorization: Bearer ${ana.token}`
    return [
      ...oddLines.map((line) => attack(`the line ${short(line)}`, ana.get(line) + bo.hidden, 400)),
      ...oddHosts.map((host) =>
        attack(
          `the Host ${short(host)}`,
          head('GET /a HTTP/1.1', `Host: ${host}`, authorization),
          400,
        ),
      ),
      attack('no Host', head('GET /a HTTP/1.1', authorization) + bo.hidden, 400),
      attack(
        'a folded first line',
        head('GET /a HTTP/1.1', ' Host: a', 'Host: a', authorization),
        400,
      ),
      attack('bare LF all over', ana.get().replaceAll('\r\n', '\n') + bo.hidden, 400),
      attack('bare CR all over', ana.get().replaceAll('\r\n', '\r') + bo.hidden, 400),
      ...['\n\n', '\r\n\n', '\n\r\n', '\r\r\n\r\n', '\r\n\r\r\n'].map((end) =>
        attack(`an end of ${short(end)}`, ana.get().slice(0, -4) + end + bo.hidden, 400),
      ),
    ]
  },
}

export const firstLines: Family = {
  title: 'D5: what is not a request of HTTP/1.1, by a method that clusters know, is refused',
  attacks: (ana, bo) => [
    ...oddFirstLines.map(([line, status]) =>
      attack(
        short(line),
        head(line, 'Host: a', `Authorization: Bearer ${ana.token}`) + bo.hidden,
        status,
      ),
    ),
    attack('HTTP/0.9', 'GET /a\r\n', 400),
    attack('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 505),
    attack('TLS in TLS', '\x16\x03\x01\x00\xa5\x01\x00', 400),
    attack('SSH', 'SSH-2.0-OpenSSH_9.2\r\n', 400),
    attack('a head of 64 KiB', ana.get(`X: ${'a'.repeat(65_536)}`), 431),
    attack('a line that never ends', 'GET /' + 'a'.repeat(70_000), 431),
    attack('more than 200 lines', ana.get(...Array.from({ length: 200 }, () => 'X: a')), 431),
    attack('half a head, and gone', ana.get().slice(0, -2), closed),
    attack('half a first line, and gone', 'GET /a HT', closed),
    attack('nothing, and gone', '', closed),
  ],
}

export const goodHeads: Family = {
  title: 'D5: what has one reading is passed on in a head written anew',
  attacks: (ana, bo) => [
    ...['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) =>
      attack(
        method,
        ana.request(`${method} /a`) + bo.hidden,
        ...[ana.passed(`${method} /a`), bo.passed('GET /hidden')],
      ),
    ),
    attack(
      'blanks about a value',
      ana.get('USER-agent:\t a\tb \t'),
      ana.passed('GET /a', ['USER-agent: a\tb']),
    ),
    attack(
      'a Host with a port',
      head('GET /a HTTP/1.1', 'host:[::1]:6443', `AUTHORIZATION: Bearer ${ana.token}`),
      {
        ...ana.passed('GET /a'),
      },
    ),
    attack(
      'lines of no use to a cluster',
      ana.get("!#$%&'*+-.^_`|~09Az: x", 'Range2: y', 'Via: 1.1 a', 'X:'),
      {
        ...ana.passed('GET /a'),
      },
    ),
    attack(
      'kubectl by its headers',
      ana.get('Kubectl-Command: kubectl get', 'Accept: a, b', 'Accept: c'),
      {
        ...ana.passed('GET /a', ['Kubectl-Command: kubectl get', 'Accept: a, b', 'Accept: c']),
      },
    ),
  ],
}
