/**
 * Judges what came of a caller's bytes: each request was refused, and nothing of it or behind it
 * carried; or the API server received one request that is what two other parsers read.
 */
import type { Case } from './cases/case.ts'
import { wrongIn } from './identity.ts'
import { requestsIn, type Reading } from './llhttp.ts'
import { refusalIn } from './refusal.ts'
import type { Message } from './oracle.ts'
import type { Seen } from './play.ts'
import { bodyOf } from './api-server.ts'

/** `said`: the caller's bytes; `received`: a list a connection; `got`: the answers. All as read. */
export type Readings = { said: Message[]; received: Message[][]; got: Message[] }

export function judgeCaller(one: Case, seen: Seen, { said, received, got }: Readings): string[] {
  const sent = one.sent.join('')
  const second = requestsIn(sent)
  const carried = inOrder(seen, received)
  const wrong = carried === null ? ['the API server reads other requests than were carried'] : []
  for (const [at, message] of (carried ?? []).entries()) {
    const isLast = at === (carried?.length ?? 0) - 1
    const [own, other] = [said[at], second[at]]
    if (!own || !other) wrong.push('carried what nobody reads as a request')
    else wrong.push(...compare(message, own, other, isLast))
  }
  if (received.some((messages) => usersOf(messages) > 1)) wrong.push('two users on one connection')
  wrong.push(...behindUpgrade(seen, received, said, sent))
  const methods = (carried ?? []).map(({ method }) => method)
  return [...wrong, ...judgeAnswers(one, seen, { said, got, methods })]
}

function usersOf(messages: Message[]): number {
  return new Set(messages.flatMap(({ fields }) => fields['impersonate-user'] ?? [])).size
}

/** What was carried, in order; null: the connections hold more or fewer requests than that. */
function inOrder({ arrivals }: Seen, received: Message[][]): Message[] | null {
  const left = received.map((messages) => [...messages])
  const carried = arrivals.map(({ connection }) => left[connection]?.shift())
  const isSound = left.every((messages) => messages.length === 0)
  const found = carried.filter((message) => message !== undefined)
  return isSound && found.length === carried.length ? found : null
}

function compare(carried: Message, said: Message, second: Reading, isLast: boolean): string[] {
  if (carried.state === 'wrong') return [`the API server cannot read it: ${carried.error}`]
  const wrong = wrongIn(carried, said)
  const parts = (['method', 'target'] as const).filter(
    (part) => carried[part] !== said[part] || carried[part] !== second[part],
  )
  wrong.push(...parts.map((part) => `the ${part} is read in two ways`))
  const [body, whole] = [bytesOf(carried), bytesOf(said)]
  if (carried.state === 'cut') {
    if (!isLast) wrong.push('a request behind one that was cut')
    if (!whole.startsWith(body)) wrong.push('part of a body that nobody sent')
    return wrong
  }
  if (said.state !== 'whole' || second.state !== 'whole')
    wrong.push('carried whole, sent otherwise')
  if (said.odd || carried.odd) wrong.push(`carried in spite of ${said.odd || carried.odd}`)
  if (body !== whole || body !== second.body) wrong.push('the body is read in two ways')
  if (Object.keys(carried.trailers).length > 0) wrong.push('a trailer was passed on')
  return wrong
}

export function bytesOf({ body }: Message): string {
  return Buffer.from(body ?? '', 'base64').toString('latin1')
}

/** Behind an upgrade the bytes are the caller's own; behind a refused one there are none. */
function behindUpgrade(seen: Seen, received: Message[][], said: Message[], sent: string): string[] {
  return received.flatMap((messages, at) => {
    const last = messages.at(-1)
    if (!last?.last || last.state !== 'whole') return []
    const rest = seen.received[at]?.slice(last.end) ?? ''
    const own = sent.slice(
      said[seen.arrivals.findLastIndex(({ connection }) => connection === at)]?.end ?? sent.length,
    )
    const hasSwitched = seen.got.some((text) => text.includes('HTTP/1.1 101 '))
    if (!hasSwitched && rest !== '') return ['bytes behind an upgrade that was refused']
    return own.startsWith(rest) ? [] : ['bytes behind an upgrade that nobody sent']
  })
}

type Answers = { said: Message[]; got: Message[]; methods: string[] }

function judgeAnswers(one: Case, seen: Seen, { said, got, methods }: Answers): string[] {
  const wrong: string[] = []
  const finals = got.filter(({ status }) => status >= 200 || status === 101)
  const refusals = finals.filter((answer) => refusalIn(answer))
  if (got.some(({ state }) => state === 'wrong')) wrong.push('the caller cannot read the answer')
  if (finals.length > methods.length + refusals.length) wrong.push('more answers than requests')
  for (const [at, answer] of finals.entries()) {
    const isLast = at === finals.length - 1
    if (refusalIn(answer)) {
      if (!isLast || methods.length > at + 1) wrong.push('carried on behind a refusal')
    } else wrong.push(...wrongAnswer(answer, at, isLast && one.ends !== 'in quiet'))
  }
  if (one.ends !== 'in quiet') return wrong
  const last = finals.at(-1)
  const isTold = last?.last === true
  const wanted = said.filter(({ state }) => state === 'whole').length
  if (seen.closedFirst && !isTold) wrong.push('closed without a word')
  if (!seen.closedFirst && refusals.length > 0) wrong.push('refused, and not closed')
  if (!seen.closedFirst && finals.length !== wanted) wrong.push('a whole request waits for ever')
  return wrong
}

function wrongAnswer(answer: Message, number: number, mayBeCut: boolean): string[] {
  if (answer.fields['x-answer']?.join() !== String(number)) return ['the answer to another request']
  const body = answer.method === 'HEAD' || answer.status === 101 ? '' : bodyOf(number)
  if (answer.state === 'cut' && mayBeCut) return []
  return answer.state === 'whole' && bytesOf(answer) === body
    ? []
    : ['not the answer that was given']
}
