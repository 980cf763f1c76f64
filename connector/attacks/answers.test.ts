import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Tape } from '../far-ends.fixtures.ts'
import { answers, type Answered } from './answers.fixtures.ts'
import { nameOf } from './origin.fixtures.ts'
import { field, type Field } from './run.fixtures.ts'

/** A field whose API server answers by name, but for what a test has it say. */
async function answering(t: TestContext) {
  const on = await field(t, { recorded: true })
  const { recorder } = on.made
  const named = (connection: Tape, head: string) =>
    connection.send(`HTTP/1.1 200 OK\r\nX-Answers: ${nameOf(head)}\r\nContent-Length: 0\r\n\r\n`)
  recorder.answer = named
  return { ...on, recorder, named }
}

for (const [title, rows] of Object.entries(answers)) {
  test(title, async (t) => {
    const on = await answering(t)
    const wrong: unknown[] = []
    for (const row of rows) {
      const went = await asked(on, row)
      if (went !== null) wrong.push({ name: row.name, went })
    }
    assert.deepEqual(wrong, [])
  })
}

/** What went otherwise than the row has it, or null. */
async function asked(on: Awaited<ReturnType<typeof answering>>, row: Answered): Promise<unknown> {
  const { recorder, named, made, ana, bo } = on
  const before = recorder.connections.length
  let hostile: { connection: Tape; before: number } | null = null
  recorder.answer = (connection) => {
    hostile = { connection, before: connection.text.length }
    recorder.answer = named
    connection.send(row.answer)
    if (row.ends) connection.socket.end()
  }
  const caller = await made.dial()
  caller.send(ana.request(row.line, ...row.lines) + bo.hidden)
  const text = await caller.toEnd()
  const seen = hostile as { connection: Tape; before: number } | null
  const next = [await answerTo(on, 'ana'), await answerTo(on, 'bo')]
  const isKept = seen?.connection.text.includes('GET /next ', seen.before) ?? false
  if (!isKept) await seen?.connection.closed
  const isRight =
    isExpected(row, text) &&
    isKept === row.isKept &&
    next.join() === 'GET /next as ana,GET /next as bo' &&
    !recorder.text.includes('/hidden') &&
    recorder.connections.length <= before + 3
  return isRight ? null : { text, isKept, next }
}

function isExpected({ caller }: Answered, text: string): boolean {
  if (caller.kind === 'bytes') return text === caller.text
  // What came in one piece with its head is told, for then the caller has nothing of it yet.
  const isPart = caller.kind === 'part' && text !== '' && caller.of.startsWith(text)
  if (isPart) return !text.endsWith('0\r\n\r\n')
  const [last = ''] = text
    .split(/(?=HTTP\/1\.1 [2-5])/)
    .filter((one) => !one.startsWith('HTTP/1.1 1'))
  return last.startsWith('HTTP/1.1 502 ') && !text.includes('forged')
}

async function answerTo({ made, ana, bo }: Field, who: 'ana' | 'bo'): Promise<string> {
  const caller = await made.dial()
  caller.send((who === 'ana' ? ana : bo).request('GET /next', 'Connection: close'))
  const text = await caller.toEnd()
  return /^X-Answers: (.*)\r$/m.exec(text)?.[1] ?? text
}

test('D5: what a caller still sends when it is answered is never a request', async (t) => {
  const on = await answering(t)
  const { made, recorder, ana, bo } = on
  const bodies: [lines: string[], begun: string][] = [
    [['Content-Length: 9000'], 'hello'],
    [['Transfer-Encoding: chunked'], '5\r\nhello\r\n'],
    [['Content-Length: 9000', 'Expect: 100-continue'], ''],
  ]
  for (const [lines, begun] of bodies) {
    const caller = await made.dial()
    caller.send(ana.post(...lines) + begun)
    const answer = await caller.until('\r\n\r\n')
    assert.match(
      answer,
      /^HTTP\/1\.1 200 [^]*X-Answers: POST \/a as ana\r\n[^]*Connection: close\r\n\r\n$/,
    )
    caller.send(`${begun && '0\r\n\r\n'}${bo.hidden}`)
    assert.equal(await caller.toEnd(), answer)
    await recorder.connections.at(-1)?.closed
  }
  assert.doesNotMatch(recorder.text, /hidden/)
  assert.equal(recorder.connections.length, bodies.length)
})

test('D5: a body that breaks behind the answer ends both, and says nothing in between', async (t) => {
  const { made, recorder, ana } = await answering(t)
  const begun = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'
  recorder.answer = (connection) => connection.send(`${begun}\r\n5\r\nhello\r\n`)
  const caller = await made.dial()
  caller.send(ana.post('Transfer-Encoding: chunked'))
  await caller.until('hello')
  caller.send('5;a=b\r\nhello\r\n0\r\n\r\n')
  const text = await caller.toEnd()
  assert.equal(text, `${begun}Connection: close\r\n\r\n5\r\nhello\r\n`)
  await recorder.connections[0]?.closed
})

test('D5: a slow answer is for whoever asked, and keeps nobody waiting', async (t) => {
  const { made, recorder, ana, bo, named } = await answering(t)
  const slow: (() => void)[] = []
  recorder.answer = (connection, head) => {
    if (head.startsWith('GET /slow')) slow.push(() => named(connection, head))
    else named(connection, head)
  }
  const waiting = await Promise.all([made.dial(), made.dial()])
  const [first, second] = waiting
  first.send(ana.request('GET /slow1') + bo.request('GET /behind'))
  second.send(bo.request('GET /slow2') + ana.request('GET /behind'))
  while (slow.length < 2) await new Promise(setImmediate)
  for (const one of [ana, bo, ana]) {
    const caller = await made.dial()
    caller.send(one.get())
    await caller.until(`X-Answers: GET /a as ${one.as}`)
  }
  assert.doesNotMatch(recorder.text, /behind/)
  for (const answer of slow.toReversed()) answer()
  const order = (mine: string, others: string) =>
    new RegExp(`${mine}[^]*GET /behind as ${others}\r`)
  assert.match(await first.until(/behind/), order('GET /slow1 as ana', 'bo'))
  assert.match(await second.until(/behind/), order('GET /slow2 as bo', 'ana'))
})

test('D5: a caller who ends its input while it is answered takes its request along', async (t) => {
  const { made, recorder, ana, bo } = await answering(t)
  recorder.answer = () => {}
  for (const [bytes, connections] of [
    [ana.get() + bo.hidden, 1],
    [`${ana.post('Content-Length: 9')}hello`, 2],
  ] as const) {
    const caller = await made.dial()
    caller.send(bytes)
    const upstream = await recorder.connection(connections - 1)
    await upstream.until('\r\n\r\n')
    caller.socket.end()
    await Promise.all([caller.closed, upstream.closed])
    assert.equal(caller.text, '')
  }
  assert.doesNotMatch(recorder.text, /hidden/)
  assert.equal(made.streams.count, 0)
})
