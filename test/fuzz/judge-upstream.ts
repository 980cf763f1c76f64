/**
 * Judges what came of an API server's bytes: the caller received what two other parsers read of
 * them, or a 502, or a connection that closed; and an odd answer's connection was not used again.
 */
import type { Case } from './cases/case.ts'
import { bodyOf } from './api-server.ts'
import { bytesOf } from './judge-caller.ts'
import { answersIn, type Reading } from './llhttp.ts'
import type { Message } from './oracle.ts'
import type { Seen } from './play.ts'
import { refusalIn } from './refusal.ts'

/** `answered`: the API server's bytes; `got`: what each of the caller's connections received. */
export type AnswerReadings = { answered: Message[]; got: Message[][] }

export function judgeUpstream(one: Case, seen: Seen, { answered, got }: AnswerReadings): string[] {
  const method = one.sent[0]?.split(' ', 1)[0] ?? ''
  const text = one.answered.join('')
  const given = answered.find(isFinal)
  // Interim answers are written anew as well; llhttp takes a `close` in one for the end of all.
  const other = answersIn(text.slice(given?.start ?? 0), [method], one.closes).find(isFinal)
  const all = got.flat()
  const first = all.find(isFinal)
  const wrong = all.some(({ state }) => state === 'wrong') ? ['the caller cannot read it'] : []
  if (all.some(leadsAway)) wrong.push('a redirect to another place')
  if (all.some(hasFalseLength)) wrong.push('a length where no body can be')
  if (first && !refusalIn(first)) {
    if (!given || !other) wrong.push('passed on what nobody reads as an answer')
    else wrong.push(...compare(first, given, other, one))
  }
  wrong.push(...wrongInterims(answered, got[0] ?? []))
  if (first?.status === 101) return [...wrong, ...wrongBehind(first, given, one, seen)]
  const isClean =
    given?.state === 'whole' &&
    other?.state === 'whole' &&
    !(given.odd || given.last || one.closes || /\r\nUpgrade:/.test(one.sent[0] ?? '')) &&
    given.end === text.length
  return [...wrong, ...wrongNext(seen, all, isClean)]
}

const isFinal = ({ status }: { status: number }) => status >= 200 || status === 101

/** As browsers resolve it, which is the laxest way there is. */
function leadsAway({ status, fields }: Message): boolean {
  if (status < 300 || status > 399) return false
  const here = 'https://door.test/a/b'
  return (fields['location'] ?? []).some(
    (place) => URL.canParse(place, here) && new URL(place, here).host !== 'door.test',
  )
}

/** Some callers believe it, and take the next answer for a body. */
function hasFalseLength({ status, fields }: Message): boolean {
  return (status < 200 || status === 204) && fields['content-length'] !== undefined
}

const hopByHop =
  /^(connection|keep-alive|proxy-connection|proxy-authenticate|te|trailer|transfer-encoding|upgrade)$/

function compare(got: Message, given: Message, second: Reading, one: Case): string[] {
  const wrong: string[] = []
  if (got.status !== given.status || got.status !== second.status) wrong.push('another status')
  if (got.reason !== given.reason) wrong.push('another reason')
  if (fieldsOf(got) !== fieldsOf(given)) wrong.push('other headers')
  const [body, whole] = [bytesOf(got), bytesOf(given)]
  if (!whole.startsWith(body)) wrong.push('bytes that are not of its body')
  const isWhole = got.state === 'whole' && (got.framing !== 'until-close' || one.closes)
  if (!isWhole) return wrong
  if (given.state !== 'whole' || second.state !== 'whole') wrong.push('whole, and given otherwise')
  if (given.odd) wrong.push(`passed on in spite of ${given.odd}`)
  if (got.odd) wrong.push(`has ${got.odd}`)
  if (body !== whole || body !== second.body) wrong.push('another body')
  if (JSON.stringify(got.trailers) !== JSON.stringify(given.trailers)) wrong.push('other trailers')
  return wrong
}

/** RFC 9110 section 8.6: neither chunks nor a 1xx nor a 204 have a length. */
function fieldsOf({ fields, framing, status }: Message): string {
  const hasLength = framing !== 'chunked' && status >= 200 && status !== 204
  const kept = Object.entries(fields).filter(
    ([name]) => !hopByHop.test(name) && (hasLength || name !== 'content-length'),
  )
  return JSON.stringify(kept.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function wrongInterims(answered: Message[], got: Message[]): string[] {
  const statuses = (messages: Message[]) =>
    messages.filter((message) => !isFinal(message)).map(({ status }) => status)
  const [given, passed] = [statuses(answered), statuses(got)]
  return passed.every((status, at) => status === given[at]) ? [] : ['other interim answers']
}

/** Behind a 101 both ends have the other's own bytes. */
function wrongBehind(first: Message, given: Message | undefined, one: Case, seen: Seen): string[] {
  const rest = (seen.got[0] ?? '').slice(first.end)
  const own = one.answered.join('').slice(given?.end)
  return own.startsWith(rest) ? [] : ['bytes behind a 101 that nobody sent']
}

function wrongNext({ arrivals }: Seen, got: Message[], isClean: boolean): string[] {
  if (arrivals.length < 2) return []
  const wrong =
    arrivals[1]?.connection === 0 && !isClean ? ['a doubtful connection was used again'] : []
  const next = got.filter(isFinal)[1]
  const isOwn = next?.fields['x-answer']?.join() === '1' && bytesOf(next) === bodyOf(1)
  return isOwn ? wrong : [...wrong, 'the next request was not given its own answer']
}
