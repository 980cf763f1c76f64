/** The splice: what goes to the API server, what comes back, and whose connection it is. */
import { breaksOf, type Mutant } from './mutant.ts'

const exchangeTest = 'connector/splice/exchange.test.ts'
const upgradeTest = 'connector/splice/upgrade.test.ts'
const severTest = 'connector/splice/sever.test.ts'
const proxyTest = 'connector/splice/proxy.test.ts'

const requests = breaksOf('connector/splice/rewrite.ts', upgradeTest, [
  {
    name: 'P7: a caller’s Audit-ID and X-Forwarded-For are passed on',
    old: `  'expect',\n])`,
    new: `  'expect',\n  'audit-id',\n  'x-forwarded-for',\n])`,
    tests: [proxyTest],
  },
  {
    name: 'D2, P7: any header of a caller’s is passed on',
    old: `return passedOn.has(name) ||`,
    new: `return !['host', 'authorization', 'content-length', 'transfer-encoding'].includes(name) ||`,
    tests: [proxyTest],
  },
  {
    name: 'D10: a method-override header is passed on',
    old: `  'expect',\n])`,
    new: `  'expect',\n  'x-http-method-override',\n])`,
    tests: [proxyTest],
  },
  {
    name: 'D8: an upgrade to h2c is passed on',
    old: `new Set(['websocket', 'spdy/3.1'])`,
    new: `new Set(['websocket', 'spdy/3.1', 'h2c'])`,
    hangs: true,
  },
  {
    name: 'D8: half a request to upgrade is none',
    old: `if (protocol === undefined || !asks) throw new Refusal(400, 'this is half a request to upgrade')`,
    new: `if (protocol === undefined || !asks) return null`,
    hangs: true,
  },
  {
    name: 'D8: a request to upgrade may have a body',
    old: `if (!isEmpty) throw`,
    new: `if (method === '' && !isEmpty) throw`,
    hangs: true,
  },
  {
    name: 'D8: any method may upgrade',
    old: `if (method !== 'GET' && method !== 'POST') throw`,
    new: `if (method === '') throw`,
    hangs: true,
  },
  {
    name: 'D5: any expectation is passed on',
    old: `expectation.toLowerCase() !== '100-continue'`,
    new: `expectation === ''`,
    tests: [exchangeTest],
    hangs: true,
  },
])

const answers = breaksOf('connector/splice/answer.ts', 'connector/door/http1.test.ts', [
  {
    name: 'D5: an answer to HEAD has the body that it speaks of',
    old: `method === 'HEAD' || `,
    new: ``,
  },
  {
    name: 'D5: a 204 has a body',
    old: ` || status === 204`,
    new: ``,
  },
  {
    name: 'D5: a 304 has the body that it speaks of',
    old: ` || status === 304`,
    new: ``,
  },
  {
    name: 'D5: an answer that is not HTTP/1.x is one',
    old: String.raw`const statusLine = /^HTTP\/1\.([01]) `,
    new: String.raw`const statusLine = /^HTTP\/[0-9](?:\.([0-9]))? `,
  },
  {
    name: 'D5: a connection of HTTP/1.0 is used again',
    old: `const keepAlive = minor === '1' && framing`,
    new: `const keepAlive = framing`,
    tests: [exchangeTest],
    hangs: true,
  },
  {
    name: 'D5: what the API server says of its connection is told to the caller',
    old: `if (hopByHop.has(name) ||`,
    new: `if (name === '' ||`,
    tests: [exchangeTest],
  },
])

const exchanges = breaksOf('connector/splice/exchange.ts', upgradeTest, [
  {
    name: 'D8: any answer to an upgrade opens the pipe',
    old: `if (answer.status === 101) return await switchOver`,
    new: `if (exchange.upgrade !== null) return await switchOver`,
    hangs: true,
  },
  {
    name: 'D8: a 101 that was not asked for opens the pipe',
    old: `upgrade !== null && to?.toLowerCase() === upgrade.toLowerCase()`,
    new: `to !== 'h2c'`,
    tests: [exchangeTest],
    hangs: true,
  },
  {
    name: 'D8: a 101 to another protocol opens the pipe',
    old: `upgrade !== null && to?.toLowerCase() === upgrade.toLowerCase()`,
    new: `upgrade !== null`,
    hangs: true,
  },
  {
    name: 'D8: a refused upgrade keeps the connection',
    old: `      upgrade === null ? { callerStays, upstreamStays: answer.keepAlive } : neitherStays`,
    new: `      { callerStays, upstreamStays: answer.keepAlive }`,
  },
  {
    name: 'D5: what is left of a body after an early answer is read as a request',
    old: `answer.framing.kind !== 'until-close' && sending.isDone`,
    new: `answer.framing.kind !== 'until-close'`,
    tests: [exchangeTest],
    hangs: true,
  },
])

const sides = breaksOf('connector/splice/side.ts', exchangeTest, [
  {
    name: 'D5: bytes behind an answer are given to the next request',
    old: `return this.#queuedBytes > 0`,
    new: `return false`,
    hangs: true,
  },
  {
    name: 'D11: a reader who stalls stalls nobody',
    old: `if (this.#isFull) this.#pause()`,
    new: ``,
    tests: ['connector/splice/splice.test.ts'],
  },
])

const heads = breaksOf('connector/splice/heads.ts', 'connector/splice/splice.test.ts', [
  {
    name: 'D5: a head in hand takes what is behind it along',
    old: `  side.unread(bytes, Math.max(0, end))\n`,
    new: `  if (end < 0) side.unread(bytes)\n`,
  },
])

const passing = breaksOf('connector/splice/splice.ts', 'connector/splice/splice.test.ts', [
  {
    name: 'D5: what is behind a body passes with it',
    old: `return bytes.subarray(0, count)`,
    new: `return bytes`,
    tests: [exchangeTest],
  },

  {
    name: 'D5: a head goes ahead of a body that is there and was not judged',
    old: `const bytes = body.done ? null : from.take()\n`,
    new: `const bytes = body.done ? from.take() : null\n`,
  },
])

const pool = breaksOf('connector/splice/upstream.ts', exchangeTest, [
  {
    name: 'D2: connections are pooled across users',
    old: `const kept = this.#kept.get(userId)?.at(-1)`,
    new: `const kept = [...this.#kept.values()].at(-1)?.at(-1)`,
  },
  {
    name: 'D5: what comes on a kept connection unasked stays on it',
    old: `    side.onUnasked = side.onOver\n`,
    new: ``,
    hangs: true,
  },
  {
    name: 'D9: a kept connection is used for another CA',
    old: `return isPlaceSame && a.tls.ca === b.tls.ca && a.tls.cert === b.tls.cert`,
    new: `return isPlaceSame`,
  },
  {
    name: 'D9: the API server’s certificate is not verified',
    old: `minVersion: 'TLSv1.2' as const,`,
    new: `rejectUnauthorized: false,`,
    hangs: true,
  },
])

const proxy = breaksOf('connector/splice/proxy.ts', severTest, [
  {
    name: 'R2: Access is not asked again after the stream is held',
    old: `      this.#judgeAgain(admitted)\n`,
    new: ``,
    hangs: true,
  },
  {
    name: 'R2: asked again, fewer groups than before are enough',
    old: `if (isCovered({ groups }, new Set(now.groups))) return`,
    new: `if (now.groups.length > 0 && groups.length > 0) return`,
    hangs: true,
  },
  {
    name: 'D11: a head that comes in one piece may be of any length',
    old: `      refuseLong(inHand, headBytes)\n`,
    new: ``,
    tests: ['connector/splice/limits.test.ts'],
  },
  {
    name: 'O8: without a credential of its own the connector asks as nobody',
    old: `if (!isUsable) throw`,
    new: `if (!isUsable && address === '') throw`,
    tests: [exchangeTest],
    hangs: true,
  },
  {
    name: 'D11: a head may take for ever',
    old: `const text = await this.waits.head.during(whole, () => place.late(true))`,
    new: `const text = await whole`,
    tests: ['connector/door/smuggling.test.ts'],
    hangs: true,
  },
  {
    name: 'D5: nonsense is not refused until its head is whole',
    old: `      refuseEarly(bytes, seen)\n`,
    new: `      if (seen < 0) refuseEarly(bytes, seen)\n`,
    tests: ['connector/door/smuggling.test.ts'],
    hangs: true,
  },
])

const held = breaksOf('connector/splice/held.ts', severTest, [
  {
    name: 'R1: a stream is not held',
    old: `const forget = streams.hold(stream)`,
    new: `const forget = () => void stream`,
  },
  {
    name: 'R1: of what is severed only the caller’s side is closed',
    old: `    this.#upstream?.side.destroy()
    this.#giveUp()`,
    new: `    this.#giveUp()`,
    hangs: true,
  },
  {
    name: 'D11: a user may have any number of streams',
    old: `if (streams.countOf(userId) >= most)`,
    new: `if (most < 0)`,
    hangs: true,
  },
  {
    name: 'R6: nobody is asked before the bytes of the API server pass',
    old: `    upstream.side.onArrival = this.#beforeBytes\n`,
    new: ``,
    tests: ['connector/splice/sever.test.ts'],
    hangs: true,
  },
  {
    name: 'R6: nobody is asked before the bytes of the caller pass',
    old: `    caller.onArrival = beforeBytes\n`,
    new: ``,
    tests: ['connector/splice/sever.test.ts'],
    hangs: true,
  },
])

const places = breaksOf('connector/splice/places.ts', 'connector/splice/places.test.ts', [
  {
    name: 'D11: connections have no limit',
    old: `if (this.#count >= connections) {
      this.note('full', address)`,
    new: `if (this.#count < 0) {
      this.note('full', address)`,
  },
])

const tlsServer = breaksOf('connector/splice/listen.ts', 'connector/splice/listen.test.ts', [
  {
    name: 'D5: any protocol is agreed to in the handshake',
    old: `    ALPNProtocols: ['http/1.1'],\n`,
    new: ``,
  },
])

export const ofTheSplice: Mutant[] = [
  ...[...requests, ...answers, ...exchanges, ...sides, ...heads, ...passing],
  ...[...pool, ...proxy, ...held, ...places, ...tlsServer],
]
