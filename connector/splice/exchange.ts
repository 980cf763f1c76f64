/** One request carried to the API server, and its answer carried back. */
import { answerLines, interimLines, leadsAway, readAnswer, switchLines } from './answer.ts'
import type { AnswerHead } from './answer.ts'
import { askedOf, mayTakeLong } from './asked.ts'
import { answerBody, requestBody } from './body.ts'
import { valuesOf, type Head } from '../door/http1.ts'
import { headInHand, readHead } from './heads.ts'
import type { Patience, Wait } from './patience.ts'
import { Gone, type Side } from './side.ts'
import { pass, passAll, splice } from './splice.ts'
import { Refusal } from '../status.ts'

export type Exchange = {
  caller: Side
  upstream: Side
  head: Head
  /** The head as it goes to the API server. */
  lines: string
  /** The protocol that the caller asks to be upgraded to. */
  upgrade: string | null
  /** With how long an answer may be in coming to what is answered soon or never. */
  patience: Patience
}

/** Which of the two connections may carry another request. */
export type Outcome = {
  callerStays: boolean
  upstreamStays: boolean
  /** Who ended what was upgraded. */
  leftBy?: 'caller' | 'cluster'
}

const neitherStays: Outcome = { callerStays: false, upstreamStays: false }
const late = 'the API server of this cluster has taken the request and does not answer'
const elsewhere =
  'the API server of this cluster redirects to another place, which is not passed on'
/** Interim answers (1xx) before the answer itself. The API server has no use for more. */
const maxInterim = 16

/**
 * Carries one exchange to its end.
 *
 * @throws {Refusal} while nothing of an answer has gone to the caller, who can still be told.
 * @throws {Gone} when it broke later: an answer that was cut short must be seen to be.
 */
export async function carry(exchange: Exchange): Promise<Outcome> {
  const { upstream, head, upgrade } = exchange
  const sending = new Sending(exchange)
  const waiting = new Waiting(exchange, sending)
  try {
    const answer = await finalAnswer(exchange)
    waiting.end()
    if (answer.status === 101) return await switchOver(exchange, answer)
    const callerStays = head.keepAlive && answer.framing.kind !== 'until-close' && sending.isDone
    // A refused upgrade ends the connection: what the caller sent behind it was meant for another
    // protocol, and must never be read as requests (CVE-2018-1002105).
    const outcome =
      upgrade === null ? { callerStays, upstreamStays: answer.keepAlive } : neitherStays
    await passAnswer(exchange, answer, !outcome.callerStays)
    const isClean = sending.isDone && !upstream.hasUnread
    return isClean ? outcome : { ...outcome, upstreamStays: false }
  } catch (error) {
    throw error instanceof Refusal ? (sending.fault ?? waiting.fault ?? error) : error
  } finally {
    waiting.end()
  }
}

/** The head and the body of the request, on their way while the answer is already awaited. */
class Sending {
  /** All of it was handed on. An answer may come sooner, and then the rest is nobody's. */
  isDone = false
  /** What the caller did wrong, if the body broke by that. */
  fault: Refusal | null = null

  constructor({ caller, upstream, head, lines }: Exchange) {
    const failed = (error: unknown) => {
      if (error instanceof Refusal) this.fault = error
      upstream.destroy()
    }
    try {
      const full = pass(caller, upstream, requestBody(head.framing), lines)
      this.isDone = full === null
      void full?.then(() => (this.isDone = true), failed)
    } catch (error) {
      failed(error)
    }
  }
}

/**
 * Gives up an answer that does not begin: behind a network that swallows, a request would hang for
 * as long as TCP sends it again, a quarter of an hour and more.
 */
class Waiting {
  fault: Refusal | null = null
  readonly #exchange: Exchange
  readonly #sending: Sending
  #wait: Wait

  constructor(exchange: Exchange, sending: Sending) {
    this.#exchange = exchange
    this.#sending = sending
    this.#wait = this.#begin()
  }

  end(): void {
    this.#exchange.patience.end(this.#wait)
  }

  #begin(): Wait {
    return this.#exchange.patience.begin(() => this.#look())
  }

  /** What it asks is looked at only now: most requests are answered long before. */
  #look(): void {
    const { upstream, head, upgrade } = this.#exchange
    this.#wait = this.#begin()
    if (!this.#sending.isDone || mayTakeLong(askedOf(head, upgrade))) return
    this.fault = new Refusal(504, late)
    upstream.destroy()
  }
}

/** Passes 1xx on, and returns what comes after. */
async function finalAnswer({ caller, upstream, head, upgrade }: Exchange): Promise<AnswerHead> {
  for (let interim = 0; interim <= maxInterim; interim += 1) {
    const answer = await nextAnswer(upstream, head.method)
    if (leadsAway(answer)) throw new Refusal(502, elsewhere)
    if (answer.status >= 200) return answer
    if (answer.status === 101) return checkedSwitch(answer, upgrade)
    await caller.write(interimLines(answer))
  }
  throw unreadable('it goes on with interim answers')
}

async function nextAnswer(upstream: Side, method: string): Promise<AnswerHead> {
  try {
    const text = headInHand(upstream) ?? (await readHead(upstream))
    if (text !== null) return readAnswer(text, method)
  } catch (cause) {
    throw unreadable(cause)
  }
  throw new Refusal(502, 'the API server of this cluster closed the connection unanswered')
}

/** RFC 9110 section 7.8: a server switches only to what it was asked for. */
function checkedSwitch(answer: AnswerHead, upgrade: string | null): AnswerHead {
  const [to, ...more] = valuesOf(answer.fields, 'upgrade')
  const isAsked = upgrade !== null && to?.toLowerCase() === upgrade.toLowerCase()
  if (isAsked && more.length === 0) return answer
  throw unreadable('it switches to a protocol that was not asked for')
}

async function switchOver(exchange: Exchange, answer: AnswerHead): Promise<Outcome> {
  const { caller, upstream, upgrade } = exchange
  await caller.write(switchLines(answer, upgrade ?? ''))
  // From here on an end of input is part of the protocol.
  caller.onOver = null
  const first = await splice(caller, upstream)
  return { ...neitherStays, leftBy: first === caller ? 'caller' : 'cluster' }
}

async function passAnswer(exchange: Exchange, answer: AnswerHead, closes: boolean): Promise<void> {
  const { caller, upstream } = exchange
  const lines = answerLines(answer, closes)
  const before = caller.given
  try {
    if (answer.framing.kind === 'until-close') await passAll(upstream, caller, lines)
    else await (pass(upstream, caller, answerBody(answer.framing), lines) ?? undefined)
  } catch (cause) {
    // Chunks that can not be read, and nothing was passed on yet: the caller can be told.
    if (cause instanceof Refusal && caller.given === before) throw unreadable(cause)
    // Who has part of an answer would understand nothing that is said now.
    throw new Gone()
  }
}

function unreadable(cause: unknown): Refusal {
  return new Refusal(502, 'the API server of this cluster sent what is no answer', { cause })
}
