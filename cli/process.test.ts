/** What only a process of its own can show: signals, streams that stay, stdin that is no terminal. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { processStarted } from '../test/secrets/process.ts'
import { written } from '../test/secrets/record.ts'
import { fieldOf } from './disk/unknown.ts'
import { infra, shell } from './testing/child.ts'
import { fakeServer } from './testing/fake-server.ts'
import { fakeSocket, type Visitor } from './testing/fake-socket.ts'
import { person, type Person } from './testing/transcript.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

function started(t: TestContext, { env }: Person, words: string[]): ChildProcess {
  processStarted(['infra', ...words], env)
  const child = spawn(process.execPath, [main, ...words], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stderr?.on('data', (text) => written('CLI err', words.join(' '), String(text)))
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** The lines of a stream, one after the other. */
function linesOf(stream: NodeJS.ReadableStream | null): AsyncIterator<string> {
  assert.ok(stream)
  return createInterface({ input: stream })[Symbol.asyncIterator]()
}

function event(number: number): string {
  const actor = { kind: 'system', id: null, name: 'sys\u001b[2J\u009b31m\u202etem' }
  return JSON.stringify({
    number,
    kind: 'user.created',
    at: '2030-01-01T00:00:00Z',
    actor,
    detail: {},
    destinations: [],
  })
}

test('Ctrl-C while the browser is away ends the login cleanly, and the port is free', async (t) => {
  const world = await fakeServer(t)
  world.providers = [{ name: 'okta', anyLoopbackPort: true }]
  const child = started(t, person(t), ['login', world.url, '--provider', 'okta', '--no-browser'])
  const err = linesOf(child.stderr)
  assert.equal((await err.next()).value, 'Open this page to log in:')
  assert.match(String((await err.next()).value), /^ {2}http:/)
  child.kill('SIGINT')
  assert.equal((await err.next()).value, 'error: the login was interrupted')
  const [code] = await once(child, 'exit')
  assert.equal(code, 1)
  const body = world.requests('/api/login/oidc')[0]?.body
  const port = Number(new URL(String(fieldOf(body, 'redirectUri'))).port)
  const [error] = await once(connect(port, '127.0.0.1'), 'error')
  assert.equal(fieldOf(error, 'code'), 'ECONNREFUSED')
})

test('a login whose server names no web page ends at once', async (t) => {
  const world = await fakeServer(t)
  world.providers = [{ name: 'okta', anyLoopbackPort: true }]
  const child = started(t, person(t), ['login', world.url, '--provider', 'okta'])
  world.url = 'ftp://idp.example'
  const exited = once(child, 'exit')
  assert.match(
    String((await linesOf(child.stderr).next()).value),
    /^error: .* that is no web page$/,
  )
  assert.deepEqual(await exited, [1, null])
})

test('K3: a second login at the same time is refused with a sentence', async (t) => {
  const world = await fakeServer(t)
  world.providers = [{ name: 'okta', anyLoopbackPort: true }]
  const ana = person(t)
  const child = started(t, ana, ['login', world.url, '--provider', 'okta', '--no-browser'])
  await linesOf(child.stderr).next()
  const second = await ana.types(`login ${world.url} --provider okta --no-browser`)
  assert.equal(second.code, 1)
  assert.match(second.err, /^error: another infra login is waiting for a browser\nhint: /)
})

test('K4: events are followed over a broken connection, each once, one JSON object a line, nothing raw', async (t) => {
  const visitors: Visitor[] = []
  const server = await fakeSocket(
    t,
    () => null,
    (visitor) => {
      visitors.push(visitor)
      const from = Number(new URL(visitor.path, 'http://x').searchParams.get('after'))
      // The last one seen comes again, as a careless server would send it.
      for (const number of [from, from + 1, from + 2]) if (number > 0) visitor.say(event(number))
      if (visitors.length === 1) setImmediate(visitor.drop)
    },
  )
  const ana = person(t, { INFRA_SERVER: server, INFRA_ACCESS_KEY: 'key-1.secret' })
  const child = started(t, ana, ['events', '--follow', '--after', '7', '--format', 'json'])
  const out = linesOf(child.stdout)
  for (const number of [8, 9, 10, 11]) {
    const { value } = await out.next()
    assert.equal(fieldOf(JSON.parse(String(value)), 'number'), number)
    assert.match(String(value), /^[ -~]*$/)
  }
  assert.deepEqual(
    visitors.map(({ path }) => path),
    ['/api/events?after=7', '/api/events?after=9'],
  )
  assert.deepEqual(
    new Set(visitors.map(({ authorization }) => authorization)),
    new Set(['Bearer key-1.secret']),
  )
})

test('whoever may not watch events is told so', async (t) => {
  const forbidden = await fakeSocket(
    t,
    () => 403,
    () => {},
  )
  const ana = person(t, { INFRA_SERVER: forbidden, INFRA_ACCESS_KEY: 'key-1.secret' })
  const { code, err } = await ana.types('events --follow')
  assert.deepEqual({ code, err }, { code: 1, err: 'error: only administrators may watch events\n' })
  const unknown = await fakeSocket(
    t,
    () => 401,
    () => {},
  )
  ana.env['INFRA_SERVER'] = unknown
  assert.match((await ana.types('events --follow')).err, /does not accept the access key/)
  ana.env['INFRA_SERVER'] = 'http://127.0.0.1:1'
  assert.equal(
    (await ana.types('events --follow')).err,
    'error: cannot reach the server at http://127.0.0.1:1\n',
  )
})

test('without a terminal nothing is asked, and the process ends', async (t) => {
  const world = await fakeServer(t)
  const { env } = person(t)
  const login = await shell(`${infra} login ${world.url} </dev/null`, env)
  assert.equal(login.code, 2)
  assert.match(login.err, /^error: an e-mail is needed, and nobody is here to be asked\n/)
})

test('a reader that leaves early is no failure', async (t) => {
  const world = await fakeServer(t)
  const { env } = person(t, { INFRA_PASSWORD: 'correct horse' })
  const { out, err } = await shell(
    `${infra} login ${world.url} --user ana@example.com && ${infra} events | head -n 1`,
    env,
  )
  assert.match(out, /^NUMBER/)
  assert.doesNotMatch(err, /error/)
})
