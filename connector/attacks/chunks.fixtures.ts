/** Chunked bodies: sizes, extensions, ends and trailers that parsers read differently. */
import { attack, type Family } from './attack.fixtures.ts'

const chunked = ['Transfer-Encoding: chunked']
const last = '0\r\n\r\n'

/** What stands where the size of a chunk of `hello` should. */
const oddSizes = [
  ...[
    '0x5',
    '0X5',
    '+5',
    '-5',
    ' 5',
    '5 ',
    '\t5',
    '5\t',
    '',
    'g',
    '5,5',
    '5_0',
    '5.0',
    '"5"',
    '\\x35',
    'five',
  ],
  ...[
    '000000005',
    '0000000000000005',
    'ffffffffffffffff',
    '10000000000000005',
    '100000005',
    '8000000000000005',
  ],
  ...[
    '5;a=b',
    '5;',
    '5 ;a',
    '5;a="b"',
    '5;a="\r\n"',
    '5;a=b;c',
    ';a',
    '5\x0b',
    '5\xa0',
    '5\0',
    '5\x85',
    '\xb2',
  ],
  ...['5\r', '5\rX', '\r\n5', '\n5', '5\r\n5', '5:', '5h', '#5', '5#', '٥'],
]

/** Bodies that are wrong behind a part that may have gone on. */
// prettier-ignore
const broken: [name: string, good: string, body: string][] = [
  ['a bare LF behind a size', '', `5\nhello\r\n${last}`],
  ['a bare LF behind an extension', '', `5;\nhello\r\n${last}`],
  ['data longer than its size', '5\r\nhello', `5\r\nhello!\r\n${last}`],
  ['data shorter than its size', '5\r\nhell\r', `5\r\nhell\r\n${last}`],
  ['no CR LF behind data', '5\r\nhello', `5\r\nhello${last}`],
  ['a bare LF behind data', '5\r\nhello', `5\r\nhello\n${last}`],
  ['a bare CR behind data', '5\r\nhello\r', `5\r\nhello\rX${last}`],
  ['two bytes of no kind behind data', '5\r\nhello', `5\r\nhelloXX${last}`],
  ['LF CR behind data', '5\r\nhello', `5\r\nhello\n\r${last}`],
  ['an extension behind the last size', '', '0;a=b\r\n\r\n'],
  ['a last size with bare LF', '', '0\n\n'],
  ['an end with bare LF', '0\r\n', '0\r\n\n'],
  ['an end with bare CR', '0\r\n\r', '0\r\n\rX'],
  ['a space for an end', '0\r\n', '0\r\n \r\n\r\n'],
  ['a trailer', '0\r\n', '0\r\nX: y\r\n\r\n'],
  ['a trailer that speaks of identity', '0\r\n', '0\r\nImpersonate-Group: system:masters\r\n\r\n'],
  ['a trailer with a length', '0\r\n', '0\r\nContent-Length: 5\r\n\r\n'],
  ['a trailer with an Authorization', '0\r\n', '0\r\nAuthorization: Bearer x\r\n\r\n'],
  ['a trailer that is folded', '0\r\n', '0\r\n X: y\r\n\r\n'],
  ['a trailer behind data', `5\r\nhello\r\n0\r\n`, '5\r\nhello\r\n0\r\nHost: b\r\n\r\n'],
  ['a bad chunk behind a good one', `5\r\nhello\r\n`, `5\r\nhello\r\n0x5\r\nworld\r\n${last}`],
]

export const chunks: Family = {
  title: 'D5: a chunked body with more than one reading is refused where it is',
  attacks: (ana, bo) => [
    ...oddSizes.map((size) =>
      attack(
        `a size of ${JSON.stringify(size)}`,
        `${ana.post(...chunked)}${Buffer.from(size).toString('latin1')}\r\nhello\r\n${last}${bo.hidden}`,
        ana.cut(
          400,
          'POST /a',
          chunked,
          size.startsWith('5\r\n5') ? '5\r\n5\r\nhe' : /^5?\r?/.exec(size)?.[0],
        ),
      ),
    ),
    ...broken.map(([name, good, body]) =>
      attack(name, ana.post(...chunked) + body + bo.hidden, ana.cut(400, 'POST /a', chunked, good)),
    ),
    attack('no end, and gone', `${ana.post(...chunked)}5\r\nhello\r\n`, {
      ...ana.cut(null, 'POST /a', chunked, '5\r\nhello\r\n'),
    }),
  ],
}

/** Sizes in full, sizes of one byte, and a request as data: all of one reading, so passed on. */
const good = [
  `5\r\nhello\r\n${last}`,
  `05\r\nhello\r\n${last}`,
  `00000005\r\nhello\r\n00000000\r\n\r\n`,
  `A\r\n0123456789\r\na\r\n0123456789\r\n${last}`,
  `1\r\nh\r\n1\r\ni\r\n${last}`,
  `7\r\n0\r\n\r\n\r\n\r\n${last}`,
  `4\r\n\0\r\n\xff\r\n${last}`,
]

export const goodChunks: Family = {
  title: 'D5: a chunked body with one reading is passed on as it came',
  attacks: (ana, bo) => [
    ...good.map((body) =>
      attack(
        JSON.stringify(body),
        ana.post(...chunked) + body + bo.hidden,
        ...[ana.passed('POST /a', chunked, body), bo.passed('GET /hidden')],
      ),
    ),
    attack('a request as a chunk', `${ana.post(...chunked)}${chunk(bo.hidden)}${last}`, {
      ...ana.passed('POST /a', chunked, chunk(bo.hidden) + last),
    }),
    attack('a trailer announced and not sent', `${ana.post(...chunked, 'Trailer: X')}${last}`, {
      ...ana.passed('POST /a', chunked, last),
    }),
  ],
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`
}
