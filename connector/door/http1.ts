/**
 * A strict reader of HTTP/1.1 heads (RFC 9112), on bytes.
 *
 * What two parsers read differently is how requests are smuggled: the API server takes a bare LF
 * for the end of a line, joins folded lines, and prefers one of two lengths. So whatever has more
 * than one reading is refused here, never repaired, and what passes is written anew (rewrite.ts).
 */
import { fieldName } from './field-name.ts'
import { Refusal } from '../status.ts'
import { checkTarget } from './target.ts'

export type Field = {
  /** In lower case. */
  name: string
  /** As it stood. */
  written: string
  value: string
}

/** How the end of a body is known (RFC 9112 section 6.3). */
export type Framing =
  | { kind: 'none' }
  | { kind: 'length'; length: number }
  | { kind: 'chunked' }
  | { kind: 'until-close' }

export type Head = {
  method: string
  target: string
  /** All behind the first line, as it came: `fields` are what it says. */
  lines: string
  fields: readonly Field[]
  framing: Framing
  /** Whether the connection may carry another request after this one. */
  keepAlive: boolean
}

export const maxHeadBytes = 64 * 1024
const maxFields = 200

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^ ]+) HTTP\/([0-9])\.([0-9])$/
// eslint-disable-next-line no-control-regex
const badBreak = /(?<!\r)\n|\r[^\n]|\0/
const lineFeed = 0x0a
const ascii = /^[\t -~]*$/
const hostForm = /^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?$/
const decimal = /^(?:0|[1-9][0-9]{0,14})$/

/** Two of these would be two opinions: which one counts differs between parsers. */
const onlyOnce = new Set([
  'host',
  'authorization',
  'content-length',
  'transfer-encoding',
  'content-type',
  'upgrade',
  'expect',
  'sec-websocket-key',
  'sec-websocket-version',
])

/** Where some parsers take a tab, or a space behind the value, for part of it (llhttp does). */
const ofLengths = new Set(['content-length', 'transfer-encoding'])

/**
 * Where the head at the front of `bytes` ends, or -1 while it is not all there. `seen` of its bytes
 * were looked at before.
 *
 * Nonsense is refused as soon as it is seen: to wait for the end of a head that can not become
 * right holds a connection until its deadline.
 */
export function headEnd(bytes: Buffer, seen: number): number {
  const blank = bytes.indexOf('\r\n\r\n', Math.max(0, seen - 3))
  const end = blank < 0 ? -1 : blank + 4
  if (end > maxHeadBytes || (end < 0 && bytes.length >= maxHeadBytes)) {
    throw new Refusal(431, `a head may have ${maxHeadBytes} bytes at most`)
  }
  if (end < 0) refuseBadBreaks(bytes.toString('latin1', unjudged(bytes, seen)))
  return end
}

/** The last byte seen is judged with its successor, unless it is the LF of a line that was. */
function unjudged(bytes: Buffer, seen: number): number {
  return seen > 0 && bytes[seen - 1] !== lineFeed ? seen - 1 : seen
}

/** Refuses a request by its first line, when that is whole and was not so before. */
export function refuseEarly(bytes: Buffer, seen: number): void {
  const line = bytes.indexOf('\r\n')
  if (line >= 0 && line + 2 > seen) readRequestLine(bytes.toString('latin1', 0, line))
}

/**
 * Reads the head of a request, `text` being all of it with the blank line. `before` is one that was
 * read: most programs say the very same in every request, and the same bytes have the same reading.
 */
export function readRequest(text: string, before: Head | null = null): Head {
  const end = text.indexOf('\r\n')
  const lines = text.slice(end)
  if (before?.lines === lines) {
    const { method, target } = readRequestLine(text.slice(0, end))
    const { fields, framing, keepAlive } = before
    return { method, target, lines, fields, framing, keepAlive }
  }
  const [first = '', ...rest] = linesOf(text)
  const { method, target } = readRequestLine(first)
  const fields = readFields(rest, ascii)
  refuseTwice(fields)
  checkHost(valuesOf(fields, 'host')[0])
  const [framing, keepAlive] = [framingOf(fields), !isClosing(fields)]
  return { method, target, lines, fields, framing, keepAlive }
}

function refuseTwice(fields: readonly Field[]): void {
  const seen: string[] = []
  for (const { name } of fields) {
    if (!onlyOnce.has(name)) continue
    if (seen.includes(name)) throw badRequest(`there is more than one ${name} header`)
    seen.push(name)
  }
}

export function valuesOf(fields: readonly Field[], name: string): string[] {
  const values: string[] = []
  for (const field of fields) if (field.name === name) values.push(field.value)
  return values
}

/** The members of a header that is a comma-separated list, in lower case, over all its lines. */
export function listOf(fields: readonly Field[], name: string): string[] {
  const values = valuesOf(fields, name)
  // Most requests say nothing of most lists, and a dozen are asked for at each.
  if (values.length === 0) return values
  const all = values.join(',').toLowerCase().split(',')
  return all.map((member) => member.trim()).filter((member) => member !== '')
}

export function isClosing(fields: readonly Field[]): boolean {
  return listOf(fields, 'connection').includes('close')
}

/** The lines of a whole head, without the blank one. */
export function linesOf(text: string): string[] {
  refuseBadBreaks(text)
  const lines = text.slice(0, -4).split('\r\n')
  if (lines.length > maxFields + 1) throw new Refusal(431, `more than ${maxFields} headers`)
  return lines
}

/** `allowed` is what a value may consist of, apart from the line's end. */
export function readFields(lines: string[], allowed: RegExp): Field[] {
  return lines.map((line) => {
    // A line that begins with a space continues the one before (obs-fold) or hides a header.
    const colon = line.indexOf(':')
    const written = line.slice(0, colon)
    const name = colon < 1 ? null : fieldName(written)
    if (name === null) throw badRequest('a header has no proper name')
    const value = trimmed(line, colon + 1)
    if (ofLengths.has(name) && !isPlain(line, written, value)) {
      throw badRequest(`there is more than one space around the value of ${written}`)
    }
    if (!allowed.test(value)) {
      throw badRequest(`the header ${written} holds what is not visible ASCII`)
    }
    return { name, written, value }
  })
}

function isPlain(line: string, name: string, value: string): boolean {
  return line === `${name}: ${value}` || line === `${name}:${value}`
}

/** RFC 9112 section 6.3, with every case of doubt refused. */
export function framingOf(fields: readonly Field[]): Framing {
  const codings = valuesOf(fields, 'transfer-encoding')
  const lengths = valuesOf(fields, 'content-length')
  if (codings.length + lengths.length > 1) throw badRequest('the body has more than one length')
  if (codings[0] !== undefined) {
    if (codings[0] !== 'chunked') throw badRequest('the only Transfer-Encoding taken is "chunked"')
    return { kind: 'chunked' }
  }
  if (lengths[0] === undefined) return { kind: 'none' }
  if (!decimal.test(lengths[0])) throw badRequest('Content-Length is not a plain number')
  return { kind: 'length', length: Number(lengths[0]) }
}

function refuseBadBreaks(text: string): void {
  if (badBreak.test(text)) throw badRequest('a line of the head does not end in CR LF')
}

function readRequestLine(line: string): { method: string; target: string } {
  const [, method = '', target = '', major, minor] = requestLine.exec(line) ?? []
  if (major === undefined) throw badRequest('the request line is not one of HTTP/1.1')
  if (major !== '1' || minor !== '1') throw new Refusal(505, 'only HTTP/1.1 is spoken here')
  // CONNECT and TRACE with the rest: neither means anything to the API server.
  if (!methods.has(method)) throw new Refusal(405, 'this method is not passed on')
  checkTarget(target)
  return { method, target }
}

/** RFC 9112 section 3.2: exactly one, and nothing that hides a user or a second host. */
function checkHost(host: string | undefined): void {
  if (host === undefined) throw badRequest('there is no Host header')
  if (!hostForm.test(host)) throw badRequest('the Host header is not a host')
}

/** What follows `start`. By hand: the expression that trims takes quadratic time on a header made of spaces. */
function trimmed(text: string, start: number): string {
  let from = start
  let to = text.length
  while (from < to && isBlank(text.charCodeAt(from))) from += 1
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1
  return text.slice(from, to)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function badRequest(message: string): Refusal {
  return new Refusal(400, message)
}
