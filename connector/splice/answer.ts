/** Reads the head of an answer of the API server's, and writes it anew towards the caller. */
import {
  framingOf,
  isClosing,
  linesOf,
  readFields,
  valuesOf,
  type Field,
  type Framing,
} from '../door/http1.ts'
import { Refusal } from '../status.ts'

export type AnswerHead = {
  status: number
  reason: string
  fields: Field[]
  framing: Framing
  /** Whether the API server's connection may carry another request. */
  keepAlive: boolean
}

const statusLine = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: ([\t -~]*))?$/
// Names in an answer may be in UTF-8, which no line break hides in; it is passed on byte by byte.
const textual = /^[\t -~\u0080-\u00ff]*$/

/**
 * Reads the head of an answer to a request of `method`, strictly: on pooled connections an answer
 * that ends somewhere else than thought would become somebody else's.
 *
 * @throws {Refusal} 502
 */
export function readAnswer(text: string, method: string): AnswerHead {
  const [first = '', ...rest] = linesOf(text)
  const [, minor, code, reason = ''] = statusLine.exec(first) ?? []
  if (code === undefined) throw new Refusal(502, 'its status line can not be read')
  const status = Number(code)
  const fields = readFields(rest, textual)
  // RFC 9112 section 6.1: HTTP/1.0 has no transfer codings, and some would not read this one.
  if (minor === '0' && valuesOf(fields, 'transfer-encoding').length > 0) {
    throw new Refusal(502, 'it has a transfer coding in HTTP/1.0')
  }
  const framing = answerFraming(status, method, fields)
  const keepAlive = minor === '1' && framing.kind !== 'until-close' && !isClosing(fields)
  return { status, reason, fields, framing, keepAlive }
}

/** RFC 9112 section 6.3: these have no body, whatever their head says. */
function answerFraming(status: number, method: string, fields: Field[]): Framing {
  const declared = framingOf(fields)
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { kind: 'none' }
  return declared.kind === 'none' ? { kind: 'until-close' } : declared
}

/** Hop by hop (RFC 9110 section 7.6.1): the connector's connection to the caller is its own. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** A path of the same place: no scheme, no authority, and nothing that some readers leave out. */
const ownPath = /^(?!\/\/)(?![^/?#]*:)[!-[\]-~]*$/

/**
 * Whether an answer sends its caller elsewhere. client-go follows with its token in hand, wherever
 * that is, and any pod behind `services/proxy` may say so (CVE-2022-3172).
 */
export function leadsAway({ status, fields }: AnswerHead): boolean {
  if (status < 300 || status > 399) return false
  return fields.some(({ name, value }) => name === 'location' && !ownPath.test(value))
}

/** The head of an ordinary answer; `closes`: no other will follow it on this connection. */
export function answerLines(head: AnswerHead, closes: boolean): string {
  const chunked = head.framing.kind === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : ''
  return `${passedOn(head)}${chunked}${closes ? 'Connection: close\r\n' : ''}\r\n`
}

/** The head of a 1xx, after which the answer itself still comes. */
export function interimLines(head: AnswerHead): string {
  return `${passedOn(head)}\r\n`
}

/** The head of a 101, after which the bytes are the new protocol's. */
export function switchLines(head: AnswerHead, protocol: string): string {
  return `${passedOn(head)}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`
}

function passedOn({ status, reason, fields }: AnswerHead): string {
  // RFC 9110 section 8.6: these have no length; a caller who believes one waits for a body, and
  // takes the next answer for it.
  const hasLength = status >= 200 && status !== 204
  let lines = `HTTP/1.1 ${status} ${reason}\r\n`
  for (const { name, written, value } of fields) {
    if (hopByHop.has(name) || (!hasLength && name === 'content-length')) continue
    lines += `${written}: ${value}\r\n`
  }
  return lines
}
