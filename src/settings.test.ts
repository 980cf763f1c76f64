import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings, settingsHelp } from './settings.ts'
import { fields } from './settings-fields.ts'

const home = { INFRA_DATA_DIR: '/data' }
const files =
  (texts: Record<string, string>) =>
  (path: string): string => {
    const text = texts[path]
    if (text === undefined) throw new Error('ENOENT')
    return text
  }

test('without any setting, the server listens on this machine only, with its own certificate', () => {
  const settings = readSettings([], { XDG_STATE_HOME: '/state' })
  assert.deepEqual(settings.listen, { host: '127.0.0.1', port: 8443 })
  assert.equal(settings.url, 'https://127.0.0.1:8443')
  assert.equal(settings.dataDir, '/state/infra')
  assert.deepEqual(settings.tls, { kind: 'own' })
  assert.equal(settings.leaseSeconds, 360)
  assert.equal(settings.tokenSeconds, 300)
  assert.equal(settings.insecureProviders, false)
})

test('a flag goes before the environment, and the environment before the file', () => {
  const readFile = files({ '/s.yaml': 'lease: 1m\ntokenLifetime: 1m\nsessionIdle: 1h\n' })
  const env = {
    ...home,
    INFRA_SETTINGS_FILE: '/s.yaml',
    INFRA_LEASE: '2m',
    INFRA_TOKEN_LIFETIME: '2m',
  }
  const settings = readSettings(['--lease', '3m'], env, readFile)
  assert.equal(settings.leaseSeconds, 180)
  assert.equal(settings.tokenSeconds, 120)
  assert.equal(settings.sessionIdleSeconds, 3600)
})

test('the settings file may be named by a flag, and holds every setting', () => {
  const readFile = files({
    '/s.yaml':
      'adminPasswordFile: /p\nadminEmail: Ana@Example.com\ntls: "off"\ninsecureProviders: true',
    '/p': 'correct horse battery\n',
  })
  const settings = readSettings(['--settings-file=/s.yaml'], home, readFile)
  assert.equal(settings.adminPassword, 'correct horse battery')
  assert.equal(settings.adminEmail, 'ana@example.com')
  assert.equal(settings.url, 'http://127.0.0.1:8443')
  assert.equal(settings.insecureProviders, true)
})

test('an empty variable is one that is not given', () => {
  assert.equal(readSettings([], { ...home, INFRA_LEASE: '', DATABASE_URL: '' }).databaseUrl, null)
})

const nonsense: [string, string[], Record<string, string>, RegExp][] = [
  [
    'a lease that is too short',
    [],
    { INFRA_LEASE: '14s' },
    /^INFRA_LEASE: must be a duration from 15s to 1d$/,
  ],
  ['a lease that is too long', [], { INFRA_LEASE: '25h' }, /^INFRA_LEASE: /],
  ['a duration that is none', [], { INFRA_SESSION_IDLE: '5 minutes' }, /^INFRA_SESSION_IDLE: /],
  ['an address without a port', ['--listen', 'localhost'], {}, /^--listen: must be host:port/],
  ['a URL with a path', [], { INFRA_URL: 'https://a/b' }, /^INFRA_URL: /],
  ['a URL with a user', [], { INFRA_URL: 'https://u:p@a' }, /^INFRA_URL: /],
  ['a URL that is plain while TLS is on', [], { INFRA_URL: 'http://a' }, /^INFRA_URL: is http/],
  ['half a certificate', [], { INFRA_TLS_CERT_FILE: '/c' }, /belong together$/],
  [
    'a certificate while TLS is off',
    [],
    { INFRA_TLS: 'off', INFRA_TLS_CERT_FILE: '/c', INFRA_TLS_KEY_FILE: '/k' },
    /^INFRA_TLS: is off/,
  ],
  [
    'a proxy that is no address',
    [],
    { INFRA_TRUSTED_PROXIES: '10.0.0.0/33' },
    /^INFRA_TRUSTED_PROXIES: /,
  ],
  [
    'an access key that is none',
    [],
    { INFRA_ADMIN_ACCESS_KEY: 'short.one' },
    /^INFRA_ADMIN_ACCESS_KEY: /,
  ],
  ['another database', [], { DATABASE_URL: 'mysql://a' }, /^DATABASE_URL: /],
  ['idle longer than life', [], { INFRA_SESSION_LIFETIME: '1h' }, /^INFRA_SESSION_IDLE: /],
  ['an unknown flag', ['--leese', '5m'], {}, /^unknown flag/],
  ['a flag without a value', ['--lease'], {}, /^--lease needs a value$/],
  ['a flag given twice', ['--lease', '5m', '--lease', '5m'], {}, /^--lease is given twice$/],
  [
    'a file that is not there',
    [],
    { INFRA_SETTINGS_FILE: '/none' },
    /^INFRA_SETTINGS_FILE: cannot read/,
  ],
  [
    'a misspelt setting in the file',
    [],
    { INFRA_SETTINGS_FILE: '/typo' },
    /^\/typo: unknown setting leese$/,
  ],
  [
    'a secret given twice',
    [],
    { INFRA_ADMIN_PASSWORD: 'long enough', INFRA_ADMIN_PASSWORD_FILE: '/p' },
    /are both given$/,
  ],
]

for (const [what, argv, env, sentence] of nonsense) {
  test(`refused in a sentence that names the setting: ${what}`, () => {
    const readFile = files({ '/typo': 'leese: 5m', '/p': 'x' })
    assert.throws(() => readSettings(argv, { ...home, ...env }, readFile), {
      code: 'invalid',
      message: sentence,
    })
  })
}

test('no secret is taken from the command line, nor repeated when somebody tries', () => {
  const secret = 'correct-horse-battery'
  for (const name of ['admin-password', 'admin-access-key', 'database-url']) {
    const tried = () => readSettings([`--${name}=${secret}`], home)
    assert.throws(tried, (error: Error) => !error.message.includes(secret))
  }
})

test('L10: a settings file that is no YAML is refused by its line, without what stands in it', () => {
  const secret = 'correct-horse-battery'
  const broken = `lease: 5m\nadminPassword: ${secret}\n  tls: [\n`
  const tried = () => readSettings(['--settings-file=/s.yaml'], home, files({ '/s.yaml': broken }))
  assert.throws(tried, (error: Error) => {
    assert.match(error.message, /^\/s\.yaml: is not YAML \(line \d\)$/)
    return error.cause === undefined
  })
})

test('the help names every setting, and says each in a sentence', () => {
  const help = settingsHelp()
  for (const { name, says } of fields) {
    assert.ok(help.includes(name) && help.includes(says), name)
    assert.match(says, /^[A-Z].*\.$/)
  }
})
