import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { requestOf, world, accessTo, grantOf, user } from '../fixtures.ts'
import { endingOf, type Ended, Records, type StreamLog } from './records.ts'
import { Gone } from './side.ts'
import { Refusal } from '../status.ts'

const admitted = { userId: 'u1', sessionId: 's1', email: 'ana@example.com' }
const opened = { id: 'a1', upgrade: null, admitted, address: '192.0.2.7' }
const list = { method: 'GET', target: '/api/v1/pods' }
const watch = { method: 'GET', target: '/api/v1/pods?watch=true' }
const well: Ended = { error: null, severed: null, leftBy: null, carried: { up: 3, down: 5 } }

function records(which: StreamLog) {
  const lines: Record<string, unknown>[] = []
  let now = 1000
  const log = (_level: string, message: string, facts: object = {}) =>
    void lines.push({ message, ...facts })
  const made = new Records(log, which, () => now)
  return { made, lines, pass: (ms: number) => (now += ms) }
}

test('a line says who does what when it opens, and how long, how much and why when it ends', () => {
  const { made, lines, pass } = records('long')
  const close = made.open({ ...opened, head: watch })
  pass(2500)
  close({ ...well, severed: 'access revoked' })
  const who = { stream: 'a1', user: 'ana@example.com', userId: 'u1', sessionId: 's1' }
  const what = { address: '192.0.2.7', method: 'GET', path: '/api/v1/pods', verb: 'watch' }
  const where = { resource: 'pods', namespace: null, name: null }
  const ended = { bytesUp: 3, bytesDown: 5, ms: 2500, ending: 'severed', why: 'access revoked' }
  assert.deepEqual(lines, [
    { message: 'stream opened', ...who, ...what, ...where },
    { message: 'stream closed', ...who, ...what, ...where, ...ended },
  ])
})

test('which streams get lines is set: each, those that stay open, or none', () => {
  const told = (which: StreamLog) => {
    const { made, lines } = records(which)
    made.open({ ...opened, head: list })(well)
    made.open({ ...opened, head: watch })(well)
    made.open({ ...opened, head: list })({ ...well, severed: 'access revoked' })
    assert.equal(made.ended.get('answered'), 2)
    assert.deepEqual(made.carried, { up: 9, down: 15 })
    return lines.map(({ message, verb }) => `${String(message)} ${String(verb)}`)
  }
  const both = (verb: string) => [`stream opened ${verb}`, `stream closed ${verb}`]
  assert.deepEqual(told('all'), [...both('list'), ...both('watch'), ...both('list')])
  assert.deepEqual(told('long'), [...both('watch'), 'stream closed list'])
  assert.deepEqual(told('none'), [])
})

test('how a stream ended is one of a closed list', () => {
  assert.equal(endingOf(well), 'answered')
  assert.equal(endingOf({ ...well, error: new Gone(), leftBy: 'caller' }), 'caller_left')
  assert.equal(endingOf({ ...well, leftBy: 'cluster' }), 'cluster_left')
  assert.equal(endingOf({ ...well, error: new Refusal(502, 'unreachable') }), 'refused')
  assert.equal(endingOf({ ...well, error: new Gone(), severed: 'x', leftBy: 'caller' }), 'severed')
})

/** What the log of a connector's data path says of a request, opened and ended by `end`. */
async function recorded(t: TestContext, end: (made: Scene) => void | Promise<void>) {
  const lines: Record<string, unknown>[] = []
  let tell = () => {}
  const log = (_level: string, message: string, facts: object = {}) => {
    lines.push({ message, ...facts })
    tell()
  }
  const made = await world(t, {}, { log, streamLog: 'all' })
  const caller = await made.dial()
  await end({ ...made, caller })
  while (!lines.some(({ message }) => message === 'stream closed')) {
    await new Promise<void>((resolve) => (tell = resolve))
  }
  return lines.filter(({ message }) => message === 'stream closed')
}
type Scene = Awaited<ReturnType<typeof world>> & {
  caller: Awaited<ReturnType<Awaited<ReturnType<typeof world>>['dial']>>
}
const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

test('an answer is counted by its bytes, and known by its Audit-ID', async (t) => {
  let sent = ''
  const [line] = await recorded(t, async ({ caller, recorder, signer }) => {
    caller.send(requestOf(signer.token('u-ana'), 'GET /api/v1/pods?limit=secret'))
    await caller.until('ok')
    sent = recorder.text
  })
  assert.equal(line?.['ending'], 'answered')
  assert.equal(line['bytesUp'], sent.length)
  assert.equal(
    line['bytesDown'],
    'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'.length,
  )
  assert.ok(sent.includes(`Audit-ID: ${String(line['stream'])}\r\n`))
  assert.ok(!JSON.stringify(line).includes('secret'))
})

test('whoever ended a watch is told apart: its caller, the API server, or lost access', async (t) => {
  const watching = async ({ caller, recorder, signer }: Scene) => {
    recorder.answer = (connection) => connection.send(`${head}5\r\nevent\r\n`)
    caller.send(requestOf(signer.token('u-ana'), 'GET /api/v1/pods?watch=true'))
    await caller.until('event')
  }
  const ends: [string, (made: Scene) => void | Promise<void>][] = [
    ['caller_left', ({ caller }) => void caller.socket.destroy()],
    ['cluster_left', async ({ recorder }) => void (await recorder.connection(0)).socket.destroy()],
    ['answered', async ({ recorder }) => (await recorder.connection(0)).send('0\r\n\r\n')],
    [
      'severed',
      ({ grant, streams, access }) => {
        grant(accessTo({ grants: [grantOf(user('u-bo'), 'edit')] }))
        streams.recheck(access)
      },
    ],
  ]
  for (const [ending, end] of ends) {
    const [line] = await recorded(t, async (made) => {
      await watching(made)
      await end(made)
    })
    assert.equal(line?.['ending'], ending)
  }
})

test('whoever ended a shell is told apart as well', async (t) => {
  for (const which of ['caller_left', 'cluster_left']) {
    const [line] = await recorded(t, async ({ caller, recorder, signer }) => {
      recorder.answer = (connection) =>
        connection.send(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n',
        )
      const lines = ['Content-Length: 0', 'Connection: Upgrade', 'Upgrade: SPDY/3.1']
      const exec = 'POST /api/v1/namespaces/web/pods/a/exec?command=sh'
      caller.send(requestOf(signer.token('u-ana'), exec, ...lines))
      await caller.until('101')
      const end = which === 'caller_left' ? caller : await recorder.connection(0)
      end.socket.end()
    })
    assert.equal(line?.['ending'], which)
    assert.equal(line['upgrade'], 'SPDY/3.1')
    assert.equal(line['resource'], 'pods/exec')
  }
})
