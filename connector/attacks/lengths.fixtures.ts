/** How long a body is: the oldest way to smuggle one request in another. */
import { attack, type Attack, type Family, type Sender } from './attack.fixtures.ts'

const chunked = 'Transfer-Encoding: chunked'

const oddLengths = [
  ...[
    '+5',
    '-5',
    '-0',
    '0x5',
    '5_0',
    '5 5',
    '"5"',
    '05',
    '00',
    '1e1',
    '5.0',
    '5;a',
    '5:',
    '',
    ',5',
  ],
  ...[
    '5, 5',
    '5,5',
    '5,',
    '5\t5',
    '\x0b5',
    '5\x0c',
    '\xa05',
    '\xb2',
    '5\0',
    'five',
    '0b101',
    'Infinity',
  ],
  ...['99999999999999999999', '9007199254740993', '18446744073709551621', '4294967301 '.repeat(9)],
]

const oddCodings = [
  ...[
    'CHUNKED',
    'Chunked',
    'cHuNkEd',
    '\x0bchunked',
    '\x0cchunked',
    'chunked\x0b',
    'xchunked',
    'chunkedx',
  ],
  ...[
    'identity',
    'chunked, identity',
    'identity, chunked',
    'gzip, chunked',
    'chunked, chunked',
    'chunked,',
  ],
  ...[
    ',chunked',
    '"chunked"',
    "'chunked'",
    'chunked;q=1',
    'chunked ;',
    'chun ked',
    '',
    'deflate',
    '[chunked]',
  ],
  ...[
    'chunked\0',
    '\xa0chunked',
    'chunked\x85',
    'chunk\xe9d',
    'chunked\x7f',
    '\x00chunked',
    'c',
    'none',
    '*',
  ],
  ...['compress, chunked', 'chunked\tchunked', 'trailers', 'chunked, x', 'chu\\nked', 'chunked#'],
]

/** Lines of which each is one more spelling of a length, beside one that is good or alone. */
// prettier-ignore
const doubled: string[][] = [
  ['Content-Length: 5', 'Content-Length: 5'], ['Content-Length: 5', 'Content-Length: 6'],
  ['Content-Length: 0', 'Content-Length: 5'], ['Content-Length: 5', 'content-length: 0'],
  ['Content-Length: 5', 'CONTENT-LENGTH: 5'], ['Content-Length: 5', 'X: y', 'Content-Length: 0'],
  ['Content-Length: 5', chunked], [chunked, 'Content-Length: 5'], [chunked, 'Content-Length: 0'],
  [chunked, chunked], [chunked, 'Transfer-Encoding: identity'], ['Transfer-Encoding: identity', chunked],
  [chunked, 'transfer-encoding: x'], ['Transfer-Encoding: x', 'Content-Length: 5'],
  ['Transfer-Encoding: identity', 'Content-Length: 5'], [chunked, 'TRANSFER-ENCODING: CHUNKED'],
  ['Content-Length : 5'], ['Content-Length\t: 5'], [' Content-Length: 5'], ['\tContent-Length: 5'],
  ['X: y', ' Content-Length: 5'], ['X: y', `\t${chunked}`], ['Transfer-Encoding:', ' chunked'],
  ['Content-Length:', ' 5'], ['Content-Length: 5', ' 0'], ['Transfer-Encoding: chun', '\tked'],
  ['Transfer-Encoding : chunked'], ['Transfer-Encoding\x0b: chunked'], ['Transfer-Encoding\0: chunked'],
  [`X: y\n${chunked}`], [`X: y\r${chunked}`], [`X: y\n\r${chunked}`], [`X: y\r\r\n${chunked}`],
  ['Content-Length:5\n'], ['Content-Length: 5\rX: y'], ['Content-Length: 5\0'], [`${chunked}\r`],
  ['Content-Length: 5 '], ['Content-Length: 5\t'], ['Content-Length:\t5'], ['Content-Length:  5'],
  [`${chunked} `], [`${chunked}\t`], ['Transfer-Encoding:\tchunked'], ['Transfer-Encoding: \t chunked'],
  ['\x00Content-Length: 5'], ['Content-Length: 5', `X: y\n\n${chunked}`],
]

export const lengths: Family = {
  title: 'D5: a body whose length is in doubt is refused',
  attacks: (ana, bo) => [
    ...oddLengths.map((length) => shown(`Content-Length: ${length}`, ana, bo)),
    ...oddCodings.map((coding) => shown(`Transfer-Encoding: ${coding}`, ana, bo)),
    ...doubled.map((lines) =>
      attack(told(lines), `${ana.post(...lines)}0\r\n\r\n${bo.hidden}`, 400),
    ),
    attack('CL.TE', `${ana.post('Content-Length: 6', chunked)}0\r\n\r\nG`, 400),
    attack('TE.CL', `${ana.post(chunked, 'Content-Length: 4')}5c\r\n${bo.hidden}0\r\n\r\n`, 400),
  ],
}

function shown(line: string, ana: Sender, bo: Sender): Attack {
  return attack(told([line]), `${ana.post(line)}0\r\n\r\n${bo.hidden}`, 400)
}

function told(lines: string[]): string {
  return lines.map((line) => JSON.stringify(line.slice(0, 60))).join(' + ')
}

/** Where there is one reading, what follows the body is a request of its own, of its own user. */
export const endings: Family = {
  title: 'D5: a body ends where one reading has it, and what follows is judged by itself',
  attacks: (ana, bo) => {
    const hidden = bo.passed('GET /hidden')
    const bare = ana.passed('POST /a')
    const ofLength = [`Content-Length: ${bo.hidden.length}`]
    const five = ana.passed('POST /a', ['Content-Length: 5'], 'hello')
    const none = ana.passed('POST /a', [chunked], '0\r\n\r\n')
    return [
      attack('CL.0: a request as a body', ana.post(...ofLength) + bo.hidden, {
        ...ana.passed('POST /a', ofLength, bo.hidden),
      }),
      attack('0.CL: a request behind none', ana.post() + bo.hidden, bare, hidden),
      attack(
        '0.CL: behind a length of 0',
        ana.post('Content-Length: 0') + bo.hidden,
        ...[ana.passed('POST /a', ['Content-Length: 0']), hidden],
      ),
      attack(
        'GET with a body',
        `${ana.get('Content-Length: 5')}hello${bo.hidden}`,
        ...[ana.passed('GET /a', ['Content-Length: 5'], 'hello'), hidden],
      ),
      attack(
        'a length without a space',
        `${ana.post('Content-Length:5')}hello${bo.hidden}`,
        five,
        hidden,
      ),
      attack(
        'a length in capitals',
        `${ana.post('CONTENT-LENGTH: 5')}hello${bo.hidden}`,
        five,
        hidden,
      ),
      attack(
        'a coding in small letters',
        `${ana.post(`transfer-encoding:chunked`)}0\r\n\r\n${bo.hidden}`,
        none,
        hidden,
      ),
      attack('more than its length', `${ana.post('Content-Length: 5')}hello!!\r\n\r\n`, five, 400),
      attack('less than its length, and gone', `${ana.post('Content-Length: 9')}hello`, {
        ...ana.cut(null, 'POST /a', ['Content-Length: 9'], 'hello'),
      }),
      ...['Content_Length: 5', 'Content-Length-: 5', 'X-Content-Length: 5', 'ContentLength: 5'].map(
        (line) =>
          attack(`not a length: ${line}`, `${ana.post(line)}hello\r\n\r\n${bo.hidden}`, bare, 400),
      ),
      ...['Transfer_Encoding: chunked', 'Transfer-Encodings: chunked', 'TE: chunked'].map((line) =>
        attack(`not a coding: ${line}`, `${ana.post(line)}0\r\n\r\n${bo.hidden}`, bare, 400),
      ),
    ]
  },
}
