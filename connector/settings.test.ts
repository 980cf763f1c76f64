import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Failure } from '../src/wire/failure.ts'
import { defaultLimits } from './splice/limits.ts'
import { flagOf, readSettings, settingsHelp } from './settings.ts'

const enough = { INFRA_SERVER: 'https://infra.example.com', INFRA_ACCESS_KEY: 'k1.s3cret' }

function refused(argv: string[], env: Record<string, string>): string {
  try {
    readSettings(argv, env)
  } catch (error) {
    assert.ok(error instanceof Failure)
    assert.equal(error.code, 'invalid')
    assert.doesNotMatch(error.message, /s3cret/, 'a refusal repeats no secret')
    return error.message
  }
  return assert.fail('it was accepted')
}

test('a server and a key are enough, the rest has defaults', () => {
  const settings = readSettings([], enough)
  assert.equal(settings.accessKey(), 'k1.s3cret')
  assert.equal(settings.serverCa(), null)
  assert.deepEqual(settings.listen, { host: '::', port: 6443 })
  assert.equal(settings.pollSeconds, 300)
  assert.equal(settings.metricsListen, null)
  assert.equal(settings.endpoint, null)
  assert.equal(settings.ownCertificate, null)
  assert.deepEqual(settings.limits, defaultLimits)
})

test('a flag is the name without its prefixes, and wins over the environment', () => {
  assert.equal(flagOf('INFRA_CONNECTOR_TLS_CERT_FILE'), 'tls-cert-file')
  assert.equal(flagOf('INFRA_SERVER'), 'server')
  assert.equal(flagOf('KUBECONFIG'), 'kubeconfig')
  const env = { ...enough, INFRA_CONNECTOR_LISTEN: '[::]:1', INFRA_POLL_INTERVAL: '1m' }
  const settings = readSettings(['--listen', '127.0.0.1:2', '--metrics-listen=[::1]:3'], env)
  assert.deepEqual(settings.listen, { host: '127.0.0.1', port: 2 })
  assert.deepEqual(settings.metricsListen, { host: '::1', port: 3 })
  assert.equal(settings.pollSeconds, 60)
})

test('limits are settings like any other', () => {
  const env = { ...enough, INFRA_MAX_STRANGERS: '50', INFRA_HEAD_TIMEOUT: '3s' }
  const { limits } = readSettings(['--max-streams', '7', '--idle-timeout', '1m'], env)
  const changed = { strangers: 50, headMs: 3_000, streamsPerUser: 7, idleMs: 60_000 }
  assert.deepEqual(limits, { ...defaultLimits, ...changed })
})

test('a variable that is left blank counts as not given', () => {
  const settings = readSettings([], { ...enough, INFRA_CONNECTOR_LISTEN: '', KUBECONFIG: '' })
  assert.deepEqual(settings.listen, { host: '::', port: 6443 })
  assert.equal(settings.kubeconfig, null)
})

test('a key file is read anew, so that an exchanged key needs no restart', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'infra-settings-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'key')
  writeFileSync(file, 'k1.one\n')
  const settings = readSettings(['--server', enough.INFRA_SERVER, '--access-key-file', file], {})
  assert.equal(settings.accessKey(), 'k1.one')
  writeFileSync(file, 'k2.two\n')
  assert.equal(settings.accessKey(), 'k2.two')
  writeFileSync(file, '')
  assert.throws(() => settings.accessKey(), /INFRA_ACCESS_KEY_FILE holds no access key/)
})

test('nonsense is refused in a sentence that names the setting', () => {
  const key = { INFRA_ACCESS_KEY: 'k1.s3cret' }
  assert.match(refused([], key), /^INFRA_SERVER \(--server\) is not set/)
  assert.match(refused([], { INFRA_SERVER: 'https://a' }), /^INFRA_ACCESS_KEY or INFRA_ACCESS_/)
  for (const url of ['infra', 'http://infra.example.com', 'https://u:s3cret@a', 'https://a?x=1']) {
    assert.match(refused([], { ...key, INFRA_SERVER: url }), /^INFRA_SERVER .*must be an https URL/)
  }
  const wrong: [Record<string, string>, RegExp][] = [
    [{ INFRA_ACCESS_KEY: 's3cret' }, /^INFRA_ACCESS_KEY holds no access key/],
    [{ INFRA_ACCESS_KEY_FILE: '/nowhere' }, /both set/],
    [{ INFRA_CONNECTOR_LISTEN: '6443' }, /^INFRA_CONNECTOR_LISTEN \(--listen\) must be host:port/],
    [{ INFRA_CONNECTOR_ENDPOINT: 'https://a:1' }, /^INFRA_CONNECTOR_ENDPOINT .* must be host:port/],
    [{ INFRA_POLL_INTERVAL: '5 minutes' }, /^INFRA_POLL_INTERVAL .* must be a duration/],
    [{ INFRA_METRICS_LISTEN: 'x' }, /^INFRA_METRICS_LISTEN .* must be host:port/],
    [{ INFRA_METRICS_LISTEN: '[::]:6443' }, /INFRA_METRICS_LISTEN .* same address/],
    [{ INFRA_MAX_CONNECTIONS: '0' }, /^INFRA_MAX_CONNECTIONS .* must be a whole number from 1 to/],
    [{ INFRA_MAX_STRANGERS: '1e3' }, /^INFRA_MAX_STRANGERS .* must be a whole number from 1 to/],
    [{ INFRA_MAX_STREAMS: '-1' }, /^INFRA_MAX_STREAMS \(--max-streams\) must be a whole number/],
    [{ INFRA_MAX_HEAD_BYTES: '100' }, /^INFRA_MAX_HEAD_BYTES .* from 16384 to 65536/],
    [{ INFRA_MAX_HEAD_BYTES: '65537' }, /^INFRA_MAX_HEAD_BYTES .* from 16384 to 65536/],
    [{ INFRA_HEAD_TIMEOUT: '0s' }, /^INFRA_HEAD_TIMEOUT .* must be a duration/],
    [{ INFRA_CONNECTOR_TLS_CERT_FILE: '/c' }, /^INFRA_CONNECTOR_TLS_KEY_FILE is not set/],
    [{ INFRA_CONNECTOR_TLS_KEY_FILE: '/k' }, /^INFRA_CONNECTOR_TLS_CERT_FILE is not set/],
    [{ INFRA_SERVER_CA_FILE: '/nowhere' }, /^INFRA_SERVER_CA_FILE .*cannot be read \(ENOENT\)/],
  ]
  for (const [env, says] of wrong) assert.match(refused([], { ...enough, ...env }), says)
})

test('a flag that is none is refused, and a secret on the command line is not repeated', () => {
  assert.match(refused(['--what', 'x'], enough), /unknown flag --what/)
  assert.match(refused(['--access-key', 'k1.s3cret'], enough), /a secret comes by environment/)
  assert.match(refused(['--access-key=k1.s3cret'], enough), /a secret comes by environment/)
  assert.match(refused(['k1.s3cret'], enough), /unexpected argument/)
  assert.match(refused(['--server'], enough), /INFRA_SERVER \(--server\) needs a value/)
})

test('plain HTTP is let pass on this machine only', () => {
  const server = 'http://127.0.0.1:8080'
  assert.equal(readSettings([], { ...enough, INFRA_SERVER: server }).server, server)
})

test('help lists every setting, and no flag for the secret', () => {
  const help = settingsHelp()
  assert.match(help, /INFRA_SERVER_CA_FILE, --server-ca-file\n/)
  assert.match(help, /INFRA_CONNECTOR_LISTEN, --listen\n.*\(default \[::\]:6443\)/)
  assert.match(help, /INFRA_ACCESS_KEY\n/)
})
