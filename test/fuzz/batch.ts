/** Plays cases side by side, has them read by the oracle in one batch, and judges each. */
import type { Case } from './cases/case.ts'
import { judgeCaller } from './judge-caller.ts'
import { judgeUpstream } from './judge-upstream.ts'
import type { Ask, Message, Oracle } from './oracle.ts'
import { play, type Seen } from './play.ts'

export type Judged = {
  one: Case
  seen: Seen
  /** What is wrong; empty is good. */
  wrong: string[]
  /** Whether at least one message passed whole, and was what others read. */
  isAccepted: boolean
}

export async function judgeAll(cases: Case[], oracle: Oracle): Promise<Judged[]> {
  const played = await Promise.all(cases.map(async (one) => ({ one, seen: await play(one) })))
  const asks = played.map(({ one, seen }) => asksFor(one, seen))
  const readings = await oracle.read(asks.flat())
  let at = 0
  return played.map(({ one, seen }, number) => {
    const own = readings.slice(at, (at += asks[number]?.length ?? 0))
    return judge(one, seen, own)
  })
}

function asksFor(one: Case, seen: Seen): Ask[] {
  const received = seen.received.map((text) => ({ text }))
  if (one.hostile === 'caller') {
    // Behind the last that was carried comes the refusal, if any.
    const methods = [...seen.arrivals.map(({ method }) => method), 'GET']
    return [{ text: one.sent.join('') }, { text: seen.got.join(''), methods }, ...received]
  }
  const method = one.sent[0]?.split(' ', 1)[0] ?? 'GET'
  const got = seen.got.map((text, at) => ({ text, methods: at === 0 ? [method, 'GET'] : ['GET'] }))
  return [{ text: one.answered.join(''), methods: [method] }, ...got]
}

function judge(one: Case, seen: Seen, readings: Message[][]): Judged {
  const [first = [], second = [], ...others] = readings
  const wrong =
    one.hostile === 'caller'
      ? judgeCaller(one, seen, { said: first, got: second, received: others })
      : judgeUpstream(one, seen, { answered: first, got: [second, ...others] })
  if (seen.hangs) wrong.push('it is served for ever')
  if (seen.leftOver > 0) wrong.push('a stream or a place is held for ever')
  if (seen.refused.some(({ status }) => status === 500)) wrong.push('the connector failed')
  const carried =
    one.hostile === 'caller'
      ? others.flat()
      : second.filter((read) => read.status >= 200 && seen.refused.length === 0)
  return { one, seen, wrong, isAccepted: carried.some(({ state }) => state === 'whole') }
}
