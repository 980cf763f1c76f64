/**
 * security.md S3: whatever is sent to any row, by whoever may call it, is done or refused with a
 * clear 4xx; what is refused changes nothing, and the process lives.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type World, world } from '../test/world.ts'
import {
  type Answer,
  answerTo,
  ask,
  bearer,
  certificateRequest,
  type Sample,
  samplesOf,
  stored,
} from './app.fixtures.ts'
import type { Row } from './call.ts'
import { routes } from './routes.ts'
import { Failure, statusOf } from './wire/failure.ts'

type Stage = {
  w: World
  /** A sample of a row, and who may call it. */
  sample(row: Row): Promise<Sample>
  headers(row: Row): Promise<Record<string, string>>
}

async function stage(t: TestContext): Promise<Stage> {
  const { write } = process.stderr
  process.stderr.write = () => true
  t.after(() => {
    process.stderr.write = write
  })
  const w = await world(t)
  const prod = await w.client.destinations.create({ name: 'prod' })
  await w.client.grants.create({ user: w.admin.email, destination: 'prod', role: 'view' })
  const csr = await certificateRequest('infra.example.com')
  const samples = samplesOf(w, { prod, password: 'wrong', csr })
  const eve = await w.user('eve@example.com', { admin: true })
  const other = { connector: prod.accessKey, admin: eve.credential, user: eve.credential }
  let made = 0
  return {
    w,
    sample: async (row) => (await samples[nameOf(row)]?.()) ?? {},
    headers: async (row) => {
      if (row.who === 'anyone') return {}
      if (row.path !== '/api/logout') return bearer(other[row.who])
      return bearer((await w.user(`leaving${++made}@example.com`)).credential)
    },
  }
}

const nameOf = ({ method, path }: Row) => `${method} ${path}`
const hasBody = ({ method }: Row) => method === 'POST' || method === 'PUT'

/** A clear answer: 200, or one of our refusals with a sentence that repeats no odd characters. */
function assertClear({ status, code, text }: Answer, where: string): void {
  if (status === 200) return
  assert.ok(status >= 400 && status < 500, `${where}: ${status} ${text}`)
  // 404 and 405 of a path that became another one are told by the router.
  const isOurs = Object.entries(statusOf).some(([name, of]) => name === code && of === status)
  assert.ok(isOurs || status === 405, `${where}: ${status} ${text}`)
}

/** Wrong guesses are counted and begun logins used up, and both is meant. */
const changed = (w: World): Promise<string[]> => stored(w, ['guesses', 'logins'])

function post(
  row: Row,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Request {
  const all = { 'content-type': 'application/json', ...headers }
  return new Request(`http://server${path}`, { method: row.method, headers: all, body })
}

function filled({ path }: Row, values: Record<string, string> = {}): string {
  return path.replace(/:([a-z]+)/gi, (_, name) => encodeURIComponent(values[name] ?? 'x'))
}

const nested = (open: string, close: string, levels: number) =>
  open.repeat(levels) + close.repeat(levels)

const wholeBodies: Record<string, string | Uint8Array<ArrayBuffer>> = {
  nothing: '',
  'a word': 'null',
  'a number': '1',
  'an array': '[]',
  'an array of objects': '[{}]',
  'a text': '"name"',
  'an array 10,000 levels deep': nested('[', ']', 10_000),
  'an array 100,000 levels deep': nested('[', ']', 100_000),
  'an object 10,000 levels deep': `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  'an open object 40,000 levels deep': '{"a":'.repeat(40_000),
  'invalid UTF-8': new Uint8Array([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]),
  'half of a surrogate pair in UTF-8': Buffer.from('7b2261223a22eda080227d', 'hex'),
  'an overlong slash': Buffer.from('7b2261223a22c0af227d', 'hex'),
  'UTF-16': Buffer.from('{}', 'utf16le'),
  'a byte order mark': '\ufeff{}',
  'a raw NUL': '{"a":"\0"}',
  'something behind the end': '{}x',
  'two objects': '{}{}',
  'a comment': '{/* */}',
  'a number that is none': '{"a":NaN}',
  'a form': 'name=ops&email=a%40b',
  'more than the limit': JSON.stringify({ a: 'x'.repeat(300_000) }),
}

test('S3: a body that is no JSON object of UTF-8 is refused by every row that takes one', async (t) => {
  const { w, headers } = await stage(t)
  const before = await changed(w)
  for (const row of routes.filter(hasBody).filter(({ path }) => path !== '/api/logout')) {
    const who = await headers(row)
    for (const [name, body] of Object.entries(wholeBodies)) {
      const answer = await answerTo(w, post(row, filled(row), body, who))
      assert.deepEqual([answer.status, answer.code], [400, 'invalid'], `${nameOf(row)}: ${name}`)
    }
  }
  assert.deepEqual(await changed(w), before)
})

test('L13, S3: another content type, and a body in a coding, are refused though they hold good JSON', async (t) => {
  const { w, headers, sample } = await stage(t)
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/json-patch+json',
    'text/plain; application/json',
    'text/plain, application/json',
    '',
  ]
  for (const row of routes.filter(hasBody)) {
    const [made, who] = [await sample(row), await headers(row)]
    const before = await changed(w)
    const good = JSON.stringify(made.input ?? {})
    const path = filled(row, made.path)
    for (const type of types) {
      const answer = await answerTo(w, post(row, path, good, { ...who, 'content-type': type }))
      assert.deepEqual([answer.status, answer.code], [400, 'invalid'], `${nameOf(row)}: ${type}`)
    }
    const zipped = post(row, path, gzipSync(good), { ...who, 'content-encoding': 'gzip' })
    assert.equal((await answerTo(w, zipped)).status, 400, nameOf(row))
    assert.deepEqual(await changed(w), before, nameOf(row))
  }
})

/** Values as JSON text, because some cannot be said otherwise. */
const oddTexts = [
  ...['', ' ', '\0', 'a\0b', '\u0001', '\r\n', 'a\r\nb: c', '\t', '\u007f', '\u0085', '\u202e'],
  ...['\ud800', '\udfff', 'a\ud800', '\udc00\ud800', '\ufeff', '\uffff', '\u{1f600}', 'é', 'ﬀ'],
  ...['..', '../..', '/', '\\', '//', '%00', '%2f', '%', '?', '#', ';', '*', '.', '-'],
  ...["'; drop table users; --", "' or '1'='1", '$1', '{{x}}', '${x}', '%s', '<script>'],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'null', 'true', 'undefined'],
  ...['0', '-1', '1.5', '1e3', '0x10', ' 1', '1_000', '9007199254740993', '1e400', 'NaN'],
  ...['system:masters', 'SYSTEM:admin', 'infra:role:x', 'a@b', 'a@b@c', '@', 'a,b', 'a/b'],
  ...['0000-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '2026-02-30T00:00:00Z', '2026-01-01'],
  ...['x'.repeat(255), 'x'.repeat(70_000), 'a'.repeat(24), '0'.repeat(24), 'é'.repeat(200)],
].map((text) => JSON.stringify(text))
const oddValues = [
  ...oddTexts,
  ...['0', '-0', '-1', '1', '1.5', '1e21', '1e308', '1e999', '-1e999', '9007199254740993'],
  ...['2147483648', '-2147483649', '9223372036854775808', '18446744073709551616'],
  ...['null', 'true', 'false', '[]', '{}', '[[]]', '[null]', '[1,"a",{}]', '["\\u0000"]'],
  ...['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"admin":true}}}'],
  ...['{"length":1000000000}', '{"toString":1}', '{"toJSON":1}', '{"then":1}', '{"name":"a"}'],
  ...['{"name":"\\u0000","value":"\\ud800"}', '{"name":"x","value":"a\\u0000b"}'],
  ...[nested('[', ']', 17), nested('[', ']', 5000), `[${'0,'.repeat(20_000)}0]`],
]
const oddNames = ['__proto__', 'constructor', 'prototype', 'id', '', '\0', '\ud800', 'admin']
const oddPaths = [
  ...['%00', 'a%00b', '%2f', '%2e%2e', '..', '%2e%2e%2fusers', '%', '%zz', '%c0%af', '%ff'],
  ...['%ed%a0%80', '%ef%bf%bf', '%25', '%252f', 'é', '%F0%9F%98%80', '\u202e', "'--", '*', ';x=1'],
  ...[
    'x'.repeat(300),
    'x'.repeat(20_000),
    '__proto__',
    'constructor',
    'null',
    '0',
    '-1',
    'a%0d%0ab',
  ],
  ...['%20', '+', 'a b', '%3f', '%23', ':user', '{user}'],
]

/** Marsaglia's xorshift32: the same seed, the same values, on both runtimes. */
function random(seed: number) {
  let state = seed
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  return { next, pick }
}

type Random = ReturnType<typeof random>

/** A good sample with something odd in it, as JSON text. */
function oddBody({ next, pick }: Random, fields: string[], input: Record<string, unknown>): string {
  const parts = new Map(Object.entries(input).map(([name, value]) => [name, JSON.stringify(value)]))
  for (const field of fields) if (next() < 1 / fields.length) parts.set(field, pick(oddValues))
  if (next() < 0.2) parts.delete(pick(fields))
  const pairs = [...parts].map(([name, value]) => `${JSON.stringify(name)}:${value}`)
  if (next() < 0.3) pairs.push(`${JSON.stringify(pick(oddNames))}:${pick(oddValues)}`)
  // A name said twice.
  if (next() < 0.2) pairs.push(`${JSON.stringify(pick(fields))}:${pick(oddValues)}`)
  return `{${pairs.join(',')}}`
}

function oddQuery({ next, pick }: Random, fields: string[], input: Record<string, unknown>) {
  const pairs = Object.entries(input).map(([name, value]) => `${name}=${String(value)}`)
  for (const field of fields) {
    const text = String(JSON.parse(pick(oddTexts))).slice(0, 5000)
    if (next() < 0.5) pairs.push(`${field}=${encoded(text)}`)
  }
  if (next() < 0.3) pairs.push(`${pick(oddPaths)}=${pick(oddPaths)}`)
  return pairs.join('&')
}

/** As a browser that does not care: half of a pair is sent as its three bytes. */
function encoded(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80'
}

/** The names of all that a row's schema takes. */
function fieldsOf({ takes }: Row): string[] {
  return Object.keys((takes as { shape?: object }).shape ?? {})
}

async function throwAt({ w, sample, headers }: Stage, row: Row, seed: number): Promise<boolean> {
  const chance = random(seed)
  const made = await sample(row)
  const who = await headers(row)
  const inPath = Object.keys(made.path ?? {})
  const fields = fieldsOf(row).filter((name) => !inPath.includes(name))
  const oddPath = Object.fromEntries(
    inPath.map((name) => [
      name,
      chance.next() < 0.5 ? chance.pick(oddPaths) : encodeURIComponent(made.path?.[name] ?? ''),
    ]),
  )
  const path = row.path.replace(/:([a-z]+)/gi, (_, name: string) => oddPath[name] ?? 'x')
  const input = made.input ?? {}
  const all = fields.length > 0 ? fields : ['unknown']
  const before = await changed(w)
  const request = hasBody(row)
    ? post(row, path, oddBody(chance, all, input), who)
    : new Request(`http://server${path}?${oddQuery(chance, all, input)}`, {
        method: row.method,
        headers: who,
      })
  const answer = await answerTo(w, request)
  const where = `${nameOf(row)} with seed ${seed}`
  assertClear(answer, where)
  if (answer.status !== 200) assert.deepEqual(await changed(w), before, where)
  return answer.status === 200
}

test('S1, S3: odd values at every row are done or refused with a clear 4xx, and change nothing then', async (t) => {
  const made = await stage(t)
  let done = 0
  let refused = 0
  for (const [at, row] of routes.entries()) {
    for (let turn = 0; turn < 6; turn += 1) {
      if (await throwAt(made, row, (at + 1) * 7919 + turn * 104_729 + 1)) done += 1
      else refused += 1
    }
  }
  // Both must be met, or the values were not odd, or too odd to reach anything.
  assert.ok(done > 30 && refused > 100, `${done} done, ${refused} refused`)
  assert.deepEqual(Object.keys(Object.prototype), [])
  assert.equal(({} as Record<string, unknown>)['admin'], undefined)
  const again = await ask(
    made.w,
    { method: 'GET', path: '/api/me' },
    {},
    bearer(made.w.admin.credential),
  )
  assert.equal(again.status, 200)
})

test('S3: NUL and halves of surrogate pairs are refused wherever a text goes', async (t) => {
  const { w, headers, sample } = await stage(t)
  for (const row of routes) {
    const { path = {}, input = {} } = await sample(row)
    const who = await headers(row)
    const before = await changed(w)
    const texts = Object.entries(input).filter(([, value]) => typeof value === 'string')
    for (const [name] of texts) {
      for (const odd of ['\0', 'a\0b', '\ud800', 'a\udc00b']) {
        if (!hasBody(row) && !odd.isWellFormed()) continue
        const answer = await ask(w, row, { path, input: { ...input, [name]: odd } }, who)
        assert.deepEqual([answer.status, answer.code], [400, 'invalid'], `${nameOf(row)} ${name}`)
      }
    }
    for (const name of Object.keys(path)) {
      const answer = await ask(w, row, { path: { ...path, [name]: 'a\0b' }, input }, who)
      assert.deepEqual([answer.status, answer.code], [400, 'invalid'], `${nameOf(row)} ${name}`)
    }
    assert.deepEqual(await changed(w), before, nameOf(row))
  }
})

test('S3: what no schema sees reaches nobody: __proto__, constructor and unknown fields', async (t) => {
  const { w, headers } = await stage(t)
  const row = routes.find((one) => nameOf(one) === 'POST /api/users')
  assert.ok(row)
  const bodies = [
    '{"email":"a1@example.com","__proto__":{"admin":true}}',
    '{"email":"a2@example.com","constructor":{"prototype":{"admin":true}}}',
    '{"email":"a3@example.com","isAdmin":true,"is_admin":true,"passwordHash":"x","id":"root"}',
    '{"__proto__":{"email":"a4@example.com","admin":true}}',
  ]
  const statuses: number[] = []
  for (const body of bodies) {
    statuses.push((await answerTo(w, post(row, '/api/users', body, await headers(row)))).status)
  }
  assert.deepEqual(statuses, [200, 200, 200, 400])
  const made = (await w.client.users.list()).filter(({ email }) => /^a\d@/.test(email))
  assert.deepEqual(
    made.map(({ email, admin }) => [email, admin]),
    [1, 2, 3].map((at) => [`a${at}@example.com`, false]),
  )
})

test('of a name that is said twice the last counts, for the answer, the event and what is stored alike', async (t) => {
  const { w, headers } = await stage(t)
  const row = routes.find((one) => nameOf(one) === 'POST /api/users')
  assert.ok(row)
  const body = '{"email":"ana@example.com","admin":true,"admin":false}'
  const answer = await answerTo(w, post(row, '/api/users', body, await headers(row)))
  assert.equal((JSON.parse(answer.text) as { admin: unknown }).admin, false)
  const event = (await w.client.events.list()).at(-1)
  assert.deepEqual([event?.kind, event?.detail['admin']], ['user.created', false])
})

test('S3: pages and queries of any size are answered in bounds', async (t) => {
  const { w } = await stage(t)
  const get = (query: string) =>
    answerTo(
      w,
      new Request(`http://server/api/events?${query}`, { headers: bearer(w.admin.credential) }),
    )
  for (const limit of [
    '0',
    '-1',
    '1001',
    '1e9',
    '9007199254740993',
    'all',
    '1.5',
    '',
    '1e2',
    '0x10',
  ]) {
    assert.equal((await get(`limit=${limit}`)).status, 400, limit)
  }
  for (const after of ['-1', '1.5', '9007199254740992', '1e400', 'x', '', '0x10', '%201']) {
    assert.equal((await get(`after=${after}`)).status, 400, after)
  }
  assert.equal((await get('after=9007199254740991')).text, '[]')
  const many = Array.from({ length: 5000 }, (_, at) => `p${at}=1`).join('&')
  assert.equal((await get(many)).status, 200)
  assert.equal((await get(`after=0&order=kind;drop&sort=${'x'.repeat(50_000)}`)).status, 200)
  assert.equal((await get('after=%ff')).status, 400)
})

test('what the database cannot store is the caller’s fault, and no 500', async (t) => {
  const { w } = await stage(t)
  const { fromDatabase } = await import('./db/errors.ts')
  const { groups } = await import('./db/schema.ts')
  const wrong = await w.db
    .insert(groups)
    .values({ id: 'x', name: 'a\0b', createdAt: w.clock.now })
    .then(
      () => null,
      (error: unknown) => fromDatabase(error),
    )
  assert.ok(wrong instanceof Failure, String(wrong))
  assert.equal(wrong.code, 'invalid')
})
