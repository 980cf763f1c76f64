/** The search is seen to find: every kind, in every place, in every form that it may take. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { allowed } from './allowed.ts'
import { type Kind, kinds, type Place, places, type Secret, type Text } from './record.ts'
import { missingIn, searchRecord, summaryOf } from './report.ts'

const random = () => randomBytes(32).toString('base64url')
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
const token = `${base64('{"alg":"ES256"}')}.${base64('{"sub":"ana"}')}.${random()}`
/** A credential of each kind, as the suite meets them. */
const secrets = kinds.map((kind): Secret => ({ kind, value: valueOf(kind) }))

function base64(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function valueOf(kind: Kind): string {
  if (kind === 'password') return 'correct horse, "battery" & staple'
  if (kind === 'private key') return pem
  if (kind === 'token') return token
  if (kind === 'session' || kind === 'access key') return `${random().slice(0, 12)}.${random()}`
  return random()
}

/** What is searched for of it: what its reader could use. */
function partOf({ kind, value }: Secret): string {
  if (kind === 'private key') return value.split('\n')[2] ?? ''
  return kind === 'password' ? value : (value.split('.').at(-1) ?? '')
}

async function search(t: TestContext, known: Secret[], texts: Text[]) {
  const folder = mkdtempSync(join(tmpdir(), 'infra-record-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const lines = (all: object[]) => all.map((one) => `${JSON.stringify(one)}\n`).join('')
  writeFileSync(join(folder, '1.secrets'), lines(known))
  writeFileSync(join(folder, '2.texts'), lines(texts))
  return searchRecord(folder)
}

const text = (place: Place, said: string, where = 'x'): Text => ({ place, where, text: said })

test('L10: a credential of every kind is found in every place, and is never repeated in the finding', async (t) => {
  for (const place of places) {
    const planted = secrets.map((one) => text(place, `before ${partOf(one)} behind`))
    const { findings } = await search(t, secrets, planted)
    const told = [...findings].map(([what, { after }]) => `${what} ${after}`).join('\n')
    for (const one of secrets) {
      const mayStand = allowed.some(
        ({ kinds: may, place: at, where }) => may.includes(one.kind) && at === place && !where,
      )
      assert.equal(told.includes(`${one.kind} in ${place}`), !mayStand, `${one.kind} in ${place}`)
      assert.ok(!told.includes(partOf(one)), one.kind)
    }
  }
})

test('L10: it is found whatever it was made into and whatever stands around it', async (t) => {
  for (const one of secrets) {
    const part = partOf(one)
    const forms = {
      'within a word': `x${part}y`,
      'as JSON': JSON.stringify({ error: { message: `no ${part}` } }),
      'in a URL': `https://infra.example.com/?q=${encodeURIComponent(part)}&x=1`,
      'in a form': new URLSearchParams({ q: part }).toString(),
      'in base64, after one letter': Buffer.from(`a${part}`).toString('base64'),
      'in base64, after two letters': Buffer.from(`ab${part}`).toString('base64'),
      'in base64, after three letters': Buffer.from(`abc${part}:`).toString('base64'),
      'in base64url': Buffer.from(`user:${part}`).toString('base64url'),
    }
    for (const [form, said] of Object.entries(forms)) {
      const { findings } = await search(t, [one], [text('server log', `${'.'.repeat(99)}${said}`)])
      assert.equal(findings.size, 1, `${one.kind} ${form}`)
    }
  }
})

test('L10: a credential that nobody recorded is found by its form', async (t) => {
  const key = `${randomBytes(12).toString('hex')}.${random()}`
  for (const [kind, said] of [
    ['token', `{"error":"Bearer ${token}"}`],
    ['access key', `authorization: Bearer ${key}`],
    ['private key', JSON.stringify({ key: pem })],
    ['password', 'the password is abcde-fghjk-mnpqr-23456, she says'],
  ] as const) {
    const { findings } = await search(t, [], [text('server log', said)])
    assert.deepEqual([...findings.keys()], [`${kind}, by its form, in server log (x)`])
  }
})

test('L10: what is no credential is not found: ids, hashes, the public parts of a token and a key', async (t) => {
  const ids = secrets.map(({ value }) => value.split('.')[0] ?? '').filter((id) => id.length < 20)
  const claims = token.slice(0, token.lastIndexOf('.'))
  const noise = randomBytes(1 << 20).toString('base64')
  const { findings, bytes } = await search(t, secrets, [
    text('server log', [...ids, claims, noise].join(' ')),
    text('event', '{"kind":"user.updated","detail":{"password":"changed"}}'),
  ])
  assert.deepEqual([...findings.keys()], [])
  assert.ok(bytes > 1 << 20)
})

test('L10: each place where a credential belongs is of that kind and that command alone', async (t) => {
  const commands = {
    password: 'infra users add',
    'access key': 'infra keys add',
    token: 'infra tokens create',
  }
  for (const [kind, where] of Object.entries(commands)) {
    const one = secrets.find((each) => each.kind === kind)
    assert.ok(one)
    const said = partOf(one)
    const found = async (place: Place, at: string) =>
      (await search(t, [one], [text(place, said, at)])).findings.size
    assert.equal(await found('CLI out', where), 0, `${kind} of ${where}`)
    assert.equal(await found('CLI err', where), 1)
    assert.equal(await found('argv', where), 1)
    assert.equal(await found('CLI out', 'infra list'), 1)
  }
  for (const { why } of allowed) assert.ok(why.length > 20)
})

test('a search for nothing, or in nothing, is told by what is missing', async (t) => {
  const empty = await search(t, [], [])
  assert.deepEqual(missingIn(empty), [...kinds, ...places])
  assert.match(summaryOf(empty), /^0 secrets, 0 texts, 0\.0 MB searched, nothing found$/)
  const whole = await search(
    t,
    secrets,
    places.map((place) => text(place, 'nothing')),
  )
  assert.deepEqual(missingIn(whole), [])
})
