/** `infra login` as typed, against a server that answers by the wire's schemas. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until } from '../../test/processes.ts'
import { fieldOf } from '../disk/unknown.ts'
import { readSessions } from '../session.ts'
import { testCa, testCertificate, testKey } from '../testing/certificates.ts'
import { fakeServer, type World } from '../testing/fake-server.ts'
import { person, type Person } from '../testing/transcript.ts'

const tls = { cert: testCertificate + testCa, key: testKey }
const browser = fileURLToPath(new URL('../testing/browser.ts', import.meta.url))

/** Somebody whose browser goes where it is sent, and where it was. */
function withBrowser(t: TestContext): { ana: Person; page: () => Promise<string> } {
  const ana = person(t)
  const path = join(ana.folder, 'page')
  Object.assign(ana.env, {
    PATH: process.env['PATH'],
    BROWSER: `${process.execPath} ${browser}`,
    BROWSER_PAGE: path,
    INFRA_NON_INTERACTIVE: 'true',
  })
  return { ana, page: () => written(path) }
}

/** What another process writes to `path`, once it has. Watching the folder can miss it. */
function written(path: string): Promise<string> {
  return until('the page was opened', () => (existsSync(path) ? readFileSync(path, 'utf8') : null))
}

function sessionOf({ env }: Person, { url }: World): string | undefined {
  return readSessions(env['INFRA_CONFIG_DIR'] ?? '').servers[url]?.session?.id
}

test('password, all by environment', async (t) => {
  const world = await fakeServer(t)
  const ana = person(t, {
    INFRA_SERVER: world.url,
    INFRA_USER: 'ana@example.com',
    INFRA_PASSWORD: 'correct horse',
  })
  const { code, out, err } = await ana.types('login')
  assert.equal(code, 0)
  assert.equal(out, '')
  assert.equal(
    err,
    `Logged in to ${world.url} as ana@example.com.\nYou have no access to any destination yet: an administrator grants it.\n`,
  )
  assert.equal(sessionOf(ana, world), 's-ana-1')
})

test('password, asked for', async (t) => {
  const world = await fakeServer(t)
  const ana = person(t)
  ana.answers = [world.url, 'ana@example.com', 'correct horse']
  const { code, err } = await ana.types('login')
  assert.equal(code, 0)
  assert.match(err, /^Server: \nE-mail: \nPassword of ana@example.com: \nLogged in/)
})

test('a wrong password says no more than that, and keeps nothing', async (t) => {
  const world = await fakeServer(t)
  const ana = person(t, { INFRA_PASSWORD: 'wrong' })
  const { code, err } = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(code, 1)
  assert.equal(err, 'error: wrong e-mail or password\n')
  assert.equal(sessionOf(ana, world), undefined)
})

test('a one-time password is changed on a terminal, by environment, or not at all', async (t) => {
  const world = await fakeServer(t)
  const [account] = world.accounts
  assert.ok(account)
  account.oneTime = true
  const line = `login ${world.url} --user ana@example.com`
  const ana = person(t, { INFRA_PASSWORD: 'correct horse' })
  const alone = await ana.types(line)
  assert.equal(alone.code, 1)
  assert.match(
    alone.err,
    /error: a new password must be chosen, and nobody is here to be asked\nhint: set INFRA_NEW_PASSWORD\n$/,
  )
  ana.answers = ['battery staple', 'battery stable']
  const typo = await ana.types(line)
  assert.match(typo.err, /error: the two new passwords differ/)
  ana.answers = ['battery staple', 'battery staple']
  assert.equal((await ana.types(line)).code, 0)
  assert.equal(account.password, 'battery staple')
  Object.assign(account, { oneTime: true })
  Object.assign(ana.env, { INFRA_PASSWORD: 'battery staple', INFRA_NEW_PASSWORD: 'third one is' })
  assert.equal((await ana.types(line)).code, 0)
  assert.equal(account.password, 'third one is')
})

test('with a provider the code comes back by the loopback address, and the page says how it ended', async (t) => {
  const world = await fakeServer(t)
  world.providers = [{ name: 'okta', anyLoopbackPort: true }]
  const { ana, page } = withBrowser(t)
  const { code, err } = await ana.types(`login ${world.url} --provider okta`)
  assert.equal(code, 0, err)
  assert.match(err, /^Open this page to log in:\n {2}http:/)
  const [begun] = world.requests('/api/login/oidc')
  const [finish] = world.requests('/api/login/oidc/finish')
  assert.match(
    String(fieldOf(begun?.body, 'redirectUri')),
    /^http:\/\/127\.0\.0\.1:\d+\/callback\/okta$/,
  )
  const verifier = String(fieldOf(finish?.body, 'verifier'))
  assert.equal(fieldOf(finish?.body, 'callback'), 'code=code-l-0&state=state-l-0')
  assert.match(verifier, /^[\w-]{43}$/)
  assert.equal(
    JSON.stringify(begun?.body).includes(verifier),
    false,
    'the verifier is told only at the end',
  )
  assert.match(await page(), /^200 [^]*You are logged in/)
})

test('what the provider refuses is refused by the server, shown on the page and said here', async (t) => {
  const world = await fakeServer(t)
  world.providers = [{ name: 'okta', anyLoopbackPort: true }]
  world.warnings = ['refuse']
  const { ana, page } = withBrowser(t)
  const { code, err } = await ana.types(`login ${world.url} --provider okta`)
  assert.equal(code, 1)
  assert.match(err, /error: the provider refused the login: access_denied\n$/)
  assert.match(await page(), /^403 [^]*You are not logged in[^]*access_denied/)
  assert.equal(world.pending.size, 0, 'the login that was begun is of no use any more')
  assert.equal(sessionOf(ana, world), undefined)
})

test('both agreed ports in use is a sentence', async (t) => {
  const blockers = [8000, 18000].map((port) => createServer().listen(port, '127.0.0.1'))
  t.after(() => blockers.map((blocker) => blocker.close()))
  // Somebody else's listener on one of them does as well as ours.
  await Promise.all(
    blockers.map((blocker) => Promise.race([once(blocker, 'listening'), once(blocker, 'error')])),
  )
  const world = await fakeServer(t)
  world.providers = [{ name: 'okta', anyLoopbackPort: false }]
  const { ana } = withBrowser(t)
  const { code, err } = await ana.types(`login ${world.url} --provider okta`)
  assert.equal(code, 1)
  assert.equal(
    err,
    'error: the ports 8000 and 18000 of this machine are in use, and the provider answers to no other\n',
  )
  assert.equal(world.requests('/api/login/oidc').length, 0)
})

test('several ways: the words choose, else the person, else it is wrong usage', async (t) => {
  const world = await fakeServer(t)
  world.providers = [{ name: 'okta', anyLoopbackPort: true }]
  const ana = person(t)
  const alone = await ana.types(`login ${world.url}`)
  assert.equal(alone.code, 2)
  assert.equal(
    alone.err,
    'error: this server offers several ways to log in: okta, password\nhint: give --provider NAME or --user EMAIL\n',
  )
  ana.answers = ['2', 'ana@example.com', 'correct horse']
  const asked = await ana.types(`login ${world.url}`)
  assert.equal(asked.code, 0)
  assert.match(asked.err, /^You can log in with\n {2}1 {2}okta\n {2}2 {2}password\nWhich one\? \n/)
  const unknown = await ana.types(`login ${world.url} --provider google`)
  assert.match(unknown.err, /error: this server offers no provider "google" \(it offers: okta\)/)
  assert.equal((await ana.types(`login ${world.url} --provider okta --user a@b`)).code, 2)
  assert.equal((await ana.types('login')).code, 2, 'the last server is meant, and nobody is asked')
  assert.equal((await ana.types(`login ${world.url} --device`)).code, 1)
})

test('warnings of the server are shown, with control characters made visible', async (t) => {
  const world = await fakeServer(t)
  world.warnings = ['the group \u001b[2Jx was left out']
  const ana = person(t, { INFRA_PASSWORD: 'correct horse' })
  const { err } = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.match(err, /warning: the group \\u001b\[2Jx was left out\n/)
})

test('a server with a CA of its own is trusted by a file', async (t) => {
  const world = await fakeServer(t, tls)
  const ana = person(t, { INFRA_PASSWORD: 'correct horse' })
  const file = join(ana.folder, 'ca.crt')
  writeFileSync(file, testCa)
  const { code, err } = await ana.types(
    `login ${world.url} --user ana@example.com --ca-file ${file}`,
  )
  assert.equal(code, 0, err)
  assert.equal((await ana.types('info')).code, 0, 'the CA is kept with the session')
  await ana.types('logout')
  assert.equal(
    (await ana.types(`login ${world.url} --user ana@example.com`)).code,
    0,
    'and after it',
  )
})

test('a server with a CA of its own is trusted by a person who compares its fingerprint', async (t) => {
  const world = await fakeServer(t, tls)
  const ana = person(t)
  ana.answers = ['no']
  const doubted = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(doubted.code, 1)
  assert.match(doubted.err, /SHA-256 fingerprint is\n {2}([0-9A-F]{2}:){31}[0-9A-F]{2}\n/)
  assert.equal(world.seen.length, 0, 'nothing is sent before')
  ana.answers = ['yes', 'correct horse']
  const { code, err } = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(code, 0, err)
  assert.equal((await ana.types('info')).code, 0)
})

test('without a person nobody confirms a CA', async (t) => {
  const world = await fakeServer(t, tls)
  const ana = person(t, { INFRA_PASSWORD: 'correct horse' })
  const { code, err } = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(code, 1)
  assert.match(err, /and nobody is here to confirm it/)
  assert.match(err, /\nhint: infra login https:.* --ca-file FILE/)
  assert.equal(world.seen.length, 0)
})

test('a server that sends no CA along cannot be confirmed, only given by file', async (t) => {
  const world = await fakeServer(t, { ...tls, cert: testCertificate })
  const ana = person(t)
  ana.answers = ['yes']
  const { code, err } = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(code, 1)
  assert.match(err, /^error: the certificate of .* is not trusted/)
})
