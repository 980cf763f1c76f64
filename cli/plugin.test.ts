/** The credential plugin as kubectl runs it: real processes, and a server that counts. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fieldOf, jsonOf } from './disk/unknown.ts'
import { cachedAnswer } from './fast-path.ts'
import { keepToken, tokenFile } from './plugin-cache.ts'
import { changeSessions, readSessions } from './session.ts'
import { infra, shell } from './testing/child.ts'
import { fakeServer, type World } from './testing/fake-server.ts'
import { person, type Person } from './testing/transcript.ts'

type Kubectl = {
  world: World
  ana: Person
  session: string
  folder: string
  create: string
  line: string
}

/** Somebody who is logged in, and the line that their kubeconfig holds. */
async function kubectl(t: TestContext): Promise<Kubectl> {
  const world = await fakeServer(t)
  const ana = person(t)
  const login = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(login.code, 2, 'nobody is there to be asked')
  ana.env['INFRA_PASSWORD'] = 'correct horse'
  const { code, err } = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(code, 0, err)
  const folder = ana.env['INFRA_CONFIG_DIR'] ?? ''
  const session = readSessions(folder).servers[world.url]?.session?.id ?? ''
  const line = `tokens create d-prod --server ${world.url} --session ${session}`
  return { world, ana, session, folder, line, create: `${infra} ${line}` }
}

function tokenIn(out: string): unknown {
  const credential = jsonOf(out)
  assert.equal(fieldOf(credential, 'apiVersion'), 'client.authentication.k8s.io/v1')
  assert.equal(fieldOf(credential, 'kind'), 'ExecCredential')
  const status = fieldOf(credential, 'status')
  assert.ok(Date.parse(String(fieldOf(status, 'expirationTimestamp'))) > Date.now())
  return fieldOf(status, 'token')
}

test('K3: twenty kubectl at once make one request', async (t) => {
  const { world, ana, create, folder } = await kubectl(t)
  // A slow server: time enough for the others to come to the lock, or past it where there is none.
  world.beforeToken = pause(2000)
  const runs = await Promise.all(Array.from({ length: 20 }, () => shell(create, ana.env)))
  for (const { code, out, err } of runs) {
    assert.equal(code, 0, err)
    assert.equal(tokenIn(out), 'token-1')
    assert.equal(err, '')
  }
  assert.equal(world.requests('/api/tokens').length, 1)
  for (const name of readdirSync(join(folder, 'tokens'))) {
    assert.equal(statSync(join(folder, 'tokens', name)).mode & 0o777, 0o600, name)
  }
  assert.equal(statSync(join(folder, 'tokens')).mode & 0o777, 0o700)
})

test('a process that asks again was refused: its token is never handed out again, to anybody', async (t) => {
  const { world, ana, create } = await kubectl(t)
  const twice = await shell(`${create}; ${create}`, ana.env)
  assert.deepEqual(twice.out.trim().split('\n').map(tokenIn), ['token-1', 'token-2'])
  const other = await shell(create, ana.env)
  assert.equal(tokenIn(other.out), 'token-2')
  assert.equal(world.requests('/api/tokens').length, 2)
})

test('the request carries the session, and only to its own server', async (t) => {
  const { world, ana, create, folder } = await kubectl(t)
  await shell(create, ana.env)
  const credential = readSessions(folder).servers[world.url]?.session?.credential
  const [asked] = world.requests('/api/tokens')
  assert.equal(asked?.authorization, `Bearer ${credential}`)
  assert.deepEqual(asked?.body, { destination: 'd-prod' })
})

test('an ended session is a sentence with the command to type, and its tokens are forgotten', async (t) => {
  const { world, ana, create, folder } = await kubectl(t)
  await shell(create, ana.env)
  await shell(create.replace('d-prod', 'd-lab'), ana.env)
  world.sessions.clear()
  const ended = await shell(`${create} >&2; ${create}`, { ...ana.env, BROWSER: '/bin/false' })
  assert.equal(ended.code, 1)
  assert.equal(ended.out, '')
  assert.match(
    ended.err,
    new RegExp(
      `\nerror: your session with ${world.url} has ended\nhint: infra login ${world.url}\n$`,
    ),
  )
  assert.deepEqual(readdirSync(join(folder, 'tokens')), [])
  assert.equal(readSessions(folder).servers[world.url]?.session?.user.email, 'ana@example.com')
})

test('an entry that is pinned to another session is refused, and nothing is asked', async (t) => {
  const { world, ana } = await kubectl(t)
  const { code, err } = await ana.types(
    `tokens create d-prod --server ${world.url} --session s-other`,
  )
  assert.equal(code, 1)
  assert.match(err, /belongs to another session/)
  assert.match(err, /hint: infra list/)
  assert.equal(world.requests('/api/tokens').length, 0)
})

test('whoever is not logged in is told how to', async (t) => {
  const { code, out, err } = await person(t).types('tokens create prod --server infra.example.com')
  assert.equal(code, 1)
  assert.equal(out, '')
  assert.equal(
    err,
    'error: you are not logged in to https://infra.example.com\nhint: infra login https://infra.example.com\n',
  )
})

test('a token with seconds to live is used while the server cannot be reached', async (t) => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const server = `http://127.0.0.1:${String(fieldOf(closed.address(), 'port'))}`
  closed.close()
  const ana = person(t)
  const folder = ana.env['INFRA_CONFIG_DIR'] ?? ''
  const session = {
    id: 's-1',
    credential: 's-1.x',
    user: { id: 'u', email: 'ana@example.com' },
    expiresAt: '',
  }
  await changeSessions(folder, () => ({
    current: server,
    servers: { [server]: { ca: null, session } },
  }))
  const key = { server, session: 's-1', destination: 'd-prod' }
  const soon = new Date(Date.now() + 20_000).toISOString()
  keepToken(tokenFile(folder, key), key, 'old', soon, Date.now() - 280_000)
  const line = `tokens create d-prod --server ${server} --session s-1`
  const first = await ana.types(line)
  assert.equal(tokenIn(first.out), 'old')
  const again = await ana.types(line)
  assert.equal(again.code, 1, 'the same process was refused with it')
  assert.match(again.err, /cannot reach the server/)
})

test('a token that lives shorter than half a minute is still shared', async (t) => {
  const { world, ana, create } = await kubectl(t)
  world.tokenLifeSeconds = 15
  await shell(create, ana.env)
  await shell(create, ana.env)
  assert.equal(world.requests('/api/tokens').length, 1)
})

test('K5: an access key from the environment works without a login and is written nowhere', async (t) => {
  const world = await fakeServer(t)
  const account = world.accounts[0]
  assert.ok(account)
  world.sessions.set('key-1.very-secret', account)
  const robot = person(t, { INFRA_ACCESS_KEY: 'key-1.very-secret', INFRA_SERVER: world.url })
  const { code, out, err } = await robot.types(
    `tokens create d-prod --server ${world.url} --session key-1`,
  )
  assert.equal(code, 0, err)
  assert.equal(tokenIn(out), 'token-1')
  const files = readdirSync(robot.folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(robot.folder, name))
    .filter((path) => statSync(path).isFile())
  assert.deepEqual(
    files.filter((path) => readFileSync(path, 'utf8').includes('very-secret')),
    [],
  )
  assert.ok(files.length > 0)
  world.sessions.clear()
  const refused = await robot.types('info')
  assert.match(refused.err, /does not accept the access key in INFRA_ACCESS_KEY/)
})

test('logging out, and in again, forgets the tokens', async (t) => {
  const { ana, world, create, folder } = await kubectl(t)
  await shell(create, ana.env)
  assert.notEqual(readdirSync(join(folder, 'tokens')).length, 0)
  await ana.types(`login ${world.url} --user ana@example.com`)
  assert.deepEqual(readdirSync(join(folder, 'tokens')), [])
  const { code } = await shell(create, ana.env)
  assert.equal(code, 1, 'the entry is pinned to the session before')
  await ana.types('logout')
  assert.deepEqual(readdirSync(join(folder, 'tokens')), [])
})

test('the fast path answers from the cache alone, and everything doubtful is left to the slow one', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'infra-plugin-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const now = Date.now()
  const key = { server: 'https://a', session: 's', destination: 'd' }
  const env = { INFRA_CONFIG_DIR: folder }
  const words = ['tokens', 'create', 'd', '--server', 'https://a', '--session', 's']
  assert.equal(cachedAnswer(words, env, now), null, 'nothing kept')
  keepToken(tokenFile(folder, key), key, 'tok', new Date(now + 300_000).toISOString(), now)
  assert.equal(cachedAnswer([...words, '--help'], env, now), null)
  assert.equal(cachedAnswer(words.slice(0, 5), env, now), null)
  assert.equal(cachedAnswer(words, env, now + 271_000), null, 'too little life left')
  assert.equal(cachedAnswer(words, env, now - 1000), null, 'the clock ran backwards')
  assert.equal(tokenIn(cachedAnswer(words, env, now) ?? ''), 'tok')
  assert.equal(cachedAnswer(words, env, now), null, 'this process has had it')
})

test('whose token a file holds the file itself says, and no word leads out of the folder', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'infra-plugin-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const now = Date.now()
  const key = { server: 'https://a', session: 's', destination: 'd' }
  keepToken(tokenFile(folder, key), key, 'tok', new Date(now + 300_000).toISOString(), now)
  const ask = (destination: string, server: string, session: string) =>
    cachedAnswer(
      ['tokens', 'create', destination, '--server', server, '--session', session],
      { INFRA_CONFIG_DIR: folder },
      now,
    )
  // The same session id at another server: a server chooses its ids, and may choose this one.
  assert.equal(ask('d', 'https://b', 's'), null)
  const long = 'x'.repeat(500)
  const cutOff = { ...key, destination: `${long}1` }
  keepToken(tokenFile(folder, cutOff), cutOff, 'long', new Date(now + 300_000).toISOString(), now)
  assert.equal(ask(`${long}2`, 'https://a', 's'), null)
  for (const destination of ['../../x', '..', '/etc/passwd', 'a.lock', 'a/b', '']) {
    const file = tokenFile(folder, { ...key, destination })
    assert.equal(join(file, '..'), join(folder, 'tokens'), destination)
    assert.doesNotMatch(file.slice(folder.length), /\.|\/.*\/.*\//)
  }
  assert.equal(tokenIn(ask('d', 'https://a', 's') ?? ''), 'tok')
})
