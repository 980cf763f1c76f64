/** The strict reader: what has two readings must be refused. */
import { breaksOf, type Mutant } from './mutant.ts'

const names = breaksOf('connector/door/field-name.ts', 'connector/door/http1.test.ts', [
  {
    name: 'D5: a name may hold what is no token',
    old: `if (!token.test(written)) return null`,
    new: `if (written.startsWith(' ') || written.endsWith(' ')) return null`,
  },
])

const heads = breaksOf('connector/door/http1.ts', 'connector/door/http1.test.ts', [
  {
    name: 'D5: a bare LF ends a line',
    old: `  refuseBadBreaks(text)
  const lines = text.slice(0, -4).split('\\r\\n')`,
    new: `  const lines = text.slice(0, -4).split(/\\r?\\n/)`,
  },
  {
    name: 'D5: a bare CR ends a line',
    old: `  refuseBadBreaks(text)
  const lines = text.slice(0, -4).split('\\r\\n')`,
    new: `  const lines = text.slice(0, -4).split(/\\r\\n?/)`,
  },
  {
    name: 'D5: a bare LF is waited behind',
    old: String.raw`/(?<!\r)\n|\r[^\n]|\0/`,
    new: String.raw`/\r[^\n]|\0/`,
  },
  {
    name: 'D5: a bare CR is waited behind',
    old: String.raw`/(?<!\r)\n|\r[^\n]|\0/`,
    new: String.raw`/(?<!\r)\n|\0/`,
  },
  {
    name: 'D5: a NUL is waited behind',
    old: String.raw`/(?<!\r)\n|\r[^\n]|\0/`,
    new: String.raw`/(?<!\r)\n|\r[^\n]/`,
  },
  {
    name: 'D5: empty lines before a request are skipped',
    old: `const [first = '', ...rest] = linesOf(text)`,
    new: `const [first = '', ...rest] = linesOf(text.replace(/^(?:\\r\\n)+/, ''))`,
  },
  {
    name: 'D5: headers as long as those before are taken for the same',
    old: `before?.lines === lines`,
    new: `before?.lines.length === lines.length`,
  },
  {
    name: 'D5: the first line is not read again where the headers are the same',
    old: `const { method, target } = readRequestLine(text.slice(0, end))
    const { fields, framing, keepAlive } = before`,
    new: `const { method, target, fields, framing, keepAlive } = before`,
  },
  {
    name: 'D5: blanks around a length are taken off',
    old: `ofLengths.has(name) && !isPlain(line, written, value)`,
    new: `ofLengths.has(name) && line === ''`,
  },
  {
    name: 'D5: a folded header is unfolded (obs-fold)',
    old: `return lines.map((line) => {`,
    new: `const unfolded = lines.join('\\n').replace(/\\n[ \\t]+/g, ' ').split('\\n')
  return unfolded.map((line) => {`,
  },
  {
    name: 'D5: a space before the colon is taken off',
    old: `const written = line.slice(0, colon)`,
    new: `const written = line.slice(0, colon).trimEnd()`,
  },
  {
    name: 'D3: a value of a caller may hold bytes above 0x7f',
    old: String.raw`const ascii = /^[\t -~]*$/`,
    new: String.raw`const ascii = /^[\t -~\x80-\xff]*$/`,
  },
  {
    name: 'D5: two lengths, and the first counts',
    old: `codings.length + lengths.length > 1`,
    new: `codings.length > 0 && lengths.length > 0`,
  },
  {
    name: 'D5: both kinds of length, and chunked counts (CL.TE)',
    old: `codings.length + lengths.length > 1`,
    new: `codings.length > 1 || lengths.length > 1`,
  },
  {
    name: 'D5: a list of lengths is one length',
    old: String.raw`const decimal = /^(?:0|[1-9][0-9]{0,14})$/`,
    new: String.raw`const decimal = /^(?:0|[1-9][0-9]{0,14})(?:, ?[0-9]+)*$/`,
  },
  {
    name: 'D5: a length may be signed',
    old: String.raw`const decimal = /^(?:0|[1-9][0-9]{0,14})$/`,
    new: String.raw`const decimal = /^[+-]?(?:0|[1-9][0-9]{0,14})$/`,
  },
  {
    name: 'D5: a length may begin with zeros',
    old: String.raw`const decimal = /^(?:0|[1-9][0-9]{0,14})$/`,
    new: String.raw`const decimal = /^[0-9]{1,15}$/`,
  },
  {
    name: 'D5: a length may be larger than a number can tell',
    old: String.raw`const decimal = /^(?:0|[1-9][0-9]{0,14})$/`,
    new: String.raw`const decimal = /^(?:0|[1-9][0-9]*)$/`,
  },
  {
    name: 'D5: Transfer-Encoding in any casing',
    old: `if (codings[0] !== 'chunked')`,
    new: `if (codings[0].toLowerCase() !== 'chunked')`,
  },
  {
    name: 'D5: Transfer-Encoding that names chunked among others (TE.TE)',
    old: `if (codings[0] !== 'chunked')`,
    new: `if (!codings[0].includes('chunked'))`,
  },
  {
    name: 'D5: two Host headers',
    old: `  'host',\n`,
    new: '',
  },
  {
    name: 'D5: two Authorization headers',
    old: `  'authorization',\n`,
    new: '',
  },
  {
    name: 'D5: two Upgrade headers',
    old: `  'upgrade',\n`,
    new: '',
  },
  {
    name: 'D5: two Content-Type headers',
    old: `  'content-type',\n`,
    new: '',
  },
  {
    name: 'D5: no Host header',
    old: `if (host === undefined) throw badRequest('there is no Host header')`,
    new: `if (host === undefined) return`,
  },
  {
    name: 'D5: a Host header that holds a user, or two hosts',
    old: `if (!hostForm.test(host))`,
    new: `if (host === '')`,
  },
  {
    name: 'D5: HTTP/1.0 is taken',
    old: `if (major !== '1' || minor !== '1')`,
    new: `if (major !== '1')`,
  },
  {
    name: 'D5: HTTP/2.0 on the first line is taken',
    old: `if (major !== '1' || minor !== '1')`,
    new: `if (minor === '9')`,
  },
  {
    name: 'D5: TRACE and CONNECT are passed on',
    old: `'DELETE', 'OPTIONS'])`,
    new: `'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])`,
  },
  {
    name: 'D11: a head has no bound while it comes',
    old: `end > maxHeadBytes || (end < 0 && bytes.length >= maxHeadBytes)`,
    new: `end > maxHeadBytes`,
  },
  {
    name: 'D11: a head may have any number of headers',
    old: `if (lines.length > maxFields + 1)`,
    new: `if (lines.length === 0)`,
  },
])

const targets = breaksOf('connector/door/target.ts', 'connector/door/http1.test.ts', [
  {
    name: 'D10: the absolute form is taken',
    old: `const mark = target.indexOf('?')`,
    new: `if (/^https?:/.test(target)) return\n  const mark = target.indexOf('?')`,
  },
  {
    name: 'D10: a target need not begin with a slash',
    old: String.raw`const pathCharacters = /^\/[A-Za-z`,
    new: String.raw`const pathCharacters = /^[A-Za-z`,
  },
  {
    name: 'D10: an empty segment is taken (//)',
    old: String.raw`/\/(?:\.{0,2}\/|`,
    new: String.raw`/\/(?:\.{1,2}\/|`,
  },
  {
    name: 'D10: dot segments are taken (..)',
    old: String.raw`\.{0,2}\/|\.{1,2}$`,
    new: String.raw`\.?\/|\.$`,
  },
  {
    name: 'D10: an escaped slash is taken (%2f)',
    old: `/%(?:2f|`,
    new: `/%(?:`,
  },
  {
    name: 'D10: an escaped slash in capitals is taken (%2F)',
    old: `disguised.test(path)`,
    new: `disguised.test(path.replaceAll('%2F', ''))`,
  },
  {
    name: 'D10: escaped dots are taken (%2e)',
    old: `|2e|`,
    new: `|`,
  },
  {
    name: 'D10: a backslash is taken',
    old: String.raw`&'()*+,;=:@/%]*$/`,
    new: String.raw`&'()*+,;=:@/%\\]*$/`,
  },
  {
    name: 'D10: a broken escape is taken',
    old: `(badEscape.test(path) || disguised.test(path))`,
    new: `disguised.test(path)`,
  },
  {
    name: 'D10: a fragment in the query is taken',
    old: `if (!queryCharacters.test(query))`,
    new: `if (query.includes('\\0'))`,
  },
])

const bodies = breaksOf('connector/splice/body.ts', 'connector/door/http1.test.ts', [
  {
    name: 'D5: a trailer is passed on',
    old: `framing.kind === 'chunked' ? new ChunkedBody('refuse')`,
    new: `framing.kind === 'chunked' ? new ChunkedBody('take')`,
  },
  {
    name: 'D5: a chunk may have extensions',
    old: String.raw`whole: /^[0-9A-Fa-f]{1,8}\r\n$/`,
    new: String.raw`whole: /^[0-9A-Fa-f]{1,8}(?:;[^\r]*)?\r\n$/`,
  },
  {
    name: 'D5: the size of a chunk may have any number of digits',
    old: String.raw`size: { begun: /^[0-9A-Fa-f]{1,8}\r?$/, whole: /^[0-9A-Fa-f]{1,8}\r\n$/ }`,
    new: String.raw`size: { begun: /^[0-9A-Fa-f]+\r?$/, whole: /^[0-9A-Fa-f]+\r\n$/ }`,
  },
  {
    name: 'D5: the size of a chunk may end in a bare LF',
    old: String.raw`whole: /^[0-9A-Fa-f]{1,8}\r\n$/`,
    new: String.raw`whole: /^[0-9A-Fa-f]{1,8}\r?\n$/`,
  },
  {
    name: 'D5: what stands between two chunks is not looked at',
    old: String.raw`'data-end': { begun: /^\r$/, whole: /^\r\n$/ }`,
    new: String.raw`'data-end': { begun: /^/, whole: /\n$/ }`,
  },
  {
    name: 'D5: a counted body takes what is behind it',
    old: `const taken = Math.min(bytes.length, this.#left)`,
    new: `const taken = bytes.length`,
  },
  {
    name: 'D11: the trailers of an answer have no bound',
    old: `if (this.#trailerBytes > longestTrailers)`,
    new: `if (this.#trailerBytes < 0)`,
  },
])

export const ofTheReader: Mutant[] = [...names, ...heads, ...targets, ...bodies]
