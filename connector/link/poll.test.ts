import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Failure } from '../../src/wire/failure.ts'
import { Ledger } from '../../src/wire/ledger.ts'
import type { PollAck, PollAnswer, PollQuery } from '../../src/wire/poll.ts'
import { HeldAccess } from '../access.ts'
import { Enforcer } from './enforcer.ts'
import { accessAt, Queue, start, stream } from './fixtures.ts'
import { Poll } from './poll.ts'
import { Streams } from '../streams.ts'

type Asked = { query: PollQuery; answer: (given: PollAnswer | Failure) => void }

/** A poll whose server is the test, with a clock that moves when the test says so. */
function world(t: TestContext, { intervalSeconds = 300, isIntervalGiven = false } = {}) {
  const state = { now: 0, isLinked: false, ackFails: false }
  const clock = { elapsed: () => state.now, wall: () => start + state.now }
  const access = new HeldAccess(clock)
  const streams = new Streams()
  const lines = new Queue<string>()
  const log = (_level: string, message: string) => lines.push(message)
  const enforcer = new Enforcer(access, streams, log, clock)
  const asks = new Queue<Asked>()
  const acks = new Queue<PollAck>()
  const taken = new Queue<{ revision: number }>()
  const changes = new Queue<true>()
  let looks = new Queue<true>()
  const poll = new Poll({
    ask: (query) =>
      new Promise((resolve, reject) => {
        const answer = (given: PollAnswer | Failure) =>
          given instanceof Failure ? reject(given) : resolve(given)
        asks.push({ query, answer })
      }),
    acknowledge: (ack) => {
      acks.push(ack)
      return state.ackFails ? Promise.reject(new Error('no network')) : Promise.resolve()
    },
    hello: { instance: 'i1', version: '1', endpoint: 'prod.example.com:443' },
    ...{ access, enforcer, clock, intervalSeconds, isIntervalGiven, log },
    isLinked: () => {
      looks.push(true)
      return state.isLinked
    },
    onAccess: () => changes.push(true),
    onTaken: (told) => taken.push(told),
    random: () => 0.5,
  })
  t.after(() => poll.close())
  /** The next question, which is due `ms` from now. */
  const after = async (ms: number) => {
    // Whatever was answered has been dealt with by then.
    await new Promise((done) => setImmediate(done))
    state.now += ms
    return asks.next()
  }
  /** It has looked at the link since this was called. */
  const looked = async () => {
    looks = new Queue()
    for (let times = 0; times < 2; times += 1) await looks.next()
  }
  return {
    poll,
    state,
    access,
    streams,
    enforcer,
    asks,
    acks,
    taken,
    changes,
    lines,
    after,
    looked,
  }
}

type World = ReturnType<typeof world>

const at = (ms: number) => new Date(start + ms).toISOString()
const whole = (revision: number, roles?: string[], epoch?: string): PollAnswer => {
  return { kind: 'access', at: at(0), access: accessAt(revision, roles, epoch) }
}
const digestAt = (...words: Parameters<typeof accessAt>) => new Ledger(accessAt(...words)).digest

/** It has polled once, holds Access of revision 1, and its lease runs from 2 s on. */
async function polled(t: TestContext, options = {}): Promise<World> {
  const w = world(t, options)
  const { answer } = await w.after(2_000)
  answer(whole(1, ['view', 'edit']))
  await w.taken.next()
  return w
}

test('without a link it asks soon, and lets in by the answer, from when it asked', async (t) => {
  const w = world(t)
  const { query, answer } = await w.after(2_000)
  const hello = { instance: 'i1', version: '1', endpoint: 'prod.example.com:443' }
  assert.deepEqual(query, { ...hello, severedInAll: 0 })
  w.state.now += 700
  answer(whole(1))
  const ack = { instance: 'i1', epoch: 'e1', revision: 1, severed: 0, severedInAll: 0 }
  assert.deepEqual(await w.acks.next(), ack)
  await w.changes.next()
  assert.equal(w.access.standing('u1', 's1').kind, 'stands')
  assert.equal(w.access.leaseEndsAt, 2_000 + 15_000)
})

test('it says what it holds; that it is unchanged renews the lease and takes nothing', async (t) => {
  const w = await polled(t)
  const { query, answer } = await w.after(4_500)
  assert.deepEqual(
    [query.epoch, query.revision, query.digest],
    ['e1', 1, digestAt(1, ['view', 'edit'])],
  )
  answer({ kind: 'unchanged', at: at(4_500), epoch: 'e1', revision: 9, since: 1 })
  const next = await w.after(4_500)
  assert.equal(w.access.leaseEndsAt, 6_500 + 15_000)
  assert.deepEqual([next.query.revision, next.query.digest], [9, digestAt(1, ['view', 'edit'])])
})

test('what an answer no longer lets in is severed and counted; the link is told as well', async (t) => {
  const w = await polled(t)
  const [reader, editor] = [
    stream(w.streams, ['infra:role:view']),
    stream(w.streams, ['infra:role:edit']),
  ]
  const { answer } = await w.after(4_500)
  answer(whole(2, ['view']))
  await w.acks.next()
  assert.equal((await w.acks.next()).severed, 1)
  assert.equal((await w.taken.next()).revision, 2)
  assert.deepEqual([reader.severed, editor.severed], [false, true])
})

test('a count that did not arrive is said the next time, with what the clock cut since', async (t) => {
  const w = await polled(t)
  await w.acks.next()
  stream(w.streams, ['infra:role:edit'])
  w.state.ackFails = true
  ;(await w.after(4_500)).answer(whole(2, ['view']))
  assert.equal((await w.acks.next()).severed, 1)
  await w.taken.next()
  w.enforcer.count(2)
  w.state.ackFails = false
  ;(await w.after(4_500)).answer(whole(3, ['view']))
  const { severed, severedInAll } = await w.acks.next()
  assert.deepEqual([severed, severedInAll], [3, 3])
  await w.taken.next()
  assert.equal(w.enforcer.takeUnsaid().severed, 0)
  assert.equal((await w.after(4_500)).query.severedInAll, 3)
})

test('an answer that the link has overtaken changes nothing, of whatever epoch', async (t) => {
  const w = await polled(t)
  for (const old of [whole(1, ['admin']), whole(7, ['admin'], 'e0')]) {
    const { answer } = await w.after(4_500)
    w.enforcer.take(accessAt(5, ['view'], 'e2'))
    answer(old)
    const next = await w.after(4_500)
    assert.deepEqual([next.query.epoch, next.query.digest], ['e2', digestAt(5, ['view'], 'e2')])
    next.answer({ kind: 'unchanged', at: at(0), epoch: 'e2', revision: 5, since: 5 })
  }
})

test('an unchanged that is about what was held before the link came renews nothing', async (t) => {
  const w = await polled(t)
  const { answer } = await w.after(4_500)
  w.enforcer.take(accessAt(5, ['view']))
  answer({ kind: 'unchanged', at: at(0), epoch: 'e1', revision: 9, since: 1 })
  assert.equal((await w.after(4_500)).query.revision, 5)
  assert.equal(w.access.leaseEndsAt, 2_000 + 15_000)
})

test('what could not be severed is not held to be enforced: all is asked for again', async (t) => {
  const w = await polled(t)
  w.streams.hold({
    ...{ userId: 'u1', sessionId: 's1', groups: ['infra:role:edit'] },
    sever: () => {
      throw new Error('stuck')
    },
  })
  ;(await w.after(4_500)).answer(whole(2, ['view']))
  const again = await w.after(1_500)
  assert.deepEqual([again.query.revision, again.query.digest], [undefined, undefined])
  again.answer(whole(2, ['view']))
  await w.taken.next()
  assert.equal((await w.after(4_500)).query.digest, digestAt(2))
})

test('a failure is tried again soon, and cuts nothing', async (t) => {
  const w = await polled(t)
  const reader = stream(w.streams, ['infra:role:view'])
  ;(await w.after(4_500)).answer(new Failure('unavailable', 'no network'))
  ;(await w.after(1_500)).answer(new Failure('unavailable', 'no network'))
  await w.after(3_000)
  assert.equal(reader.severed, false)
  assert.deepEqual(w.poll.counts, { answered: 1, failed: 2, refused: 0 })
})

test('a key that is refused and refused again has nobody let in; admitted again, all is asked for', async (t) => {
  const w = await polled(t)
  const reader = stream(w.streams, ['infra:role:view'])
  const refusal = new Failure('unauthenticated', 'the credential is not valid, or has ended')
  ;(await w.after(4_500)).answer(refusal)
  const second = await w.after(1_000)
  assert.equal(reader.severed, false, 'one refusal may be a mistake')
  second.answer(refusal)
  await w.lines.find((line): line is string => line.includes('admitted no longer'))
  assert.ok(reader.severed)
  assert.equal(w.access.standing('u1', 's1').kind, 'unknown-user')
  const later = await w.after(30_000)
  assert.equal(later.query.digest, undefined)
  later.answer(whole(1))
  await w.taken.next()
  assert.equal(w.access.standing('u1', 's1').kind, 'stands')
})

test('refusals with a failure between them are not two in a row', async (t) => {
  const w = await polled(t)
  const reader = stream(w.streams, ['infra:role:view'])
  const refusal = new Failure('unauthenticated', 'the credential is not valid, or has ended')
  ;(await w.after(4_500)).answer(refusal)
  ;(await w.after(1_000)).answer(new Failure('unavailable', 'no network'))
  ;(await w.after(5_000)).answer(refusal)
  await w.after(1_000)
  assert.equal(reader.severed, false)
})

test('when the link goes it asks soon, however long the interval', async (t) => {
  const w = world(t)
  w.state.isLinked = true
  const long = { ...accessAt(1), leaseSeconds: 86_400 }
  ;(await w.after(2_000)).answer({ kind: 'access', at: at(0), access: long })
  await w.taken.next()
  await w.looked()
  w.state.isLinked = false
  await w.looked()
  await w.after(3_000)
})

test('an interval that the lease does not allow is said once, if somebody wished for it', async (t) => {
  const w = await polled(t, { intervalSeconds: 60, isIntervalGiven: true })
  await w.lines.find((line): line is string => line.includes('a third of the lease'))
  const other = await polled(t, { intervalSeconds: 60 })
  other.lines.push('end')
  const said: string[] = []
  for (let line = await other.lines.next(); line !== 'end'; line = await other.lines.next()) {
    said.push(line)
  }
  assert.ok(!said.some((line) => line.includes('a third')))
})
