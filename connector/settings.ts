/**
 * The connector's settings: each with its name, its default and a sentence. They come from the
 * environment; every one that holds no secret is also a flag, which wins over it. The flag is the
 * name in lower case without `INFRA_` and `CONNECTOR_`: `INFRA_SERVER_CA_FILE` is
 * `--server-ca-file`, `INFRA_CONNECTOR_LISTEN` is `--listen`. Secrets are never flags, because
 * every process of a machine can read the others' command lines.
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { type Address, ListenAddress } from '../src/wire/address.ts'
import { Endpoint } from '../src/wire/destinations.ts'
import { Duration } from '../src/wire/duration.ts'
import { Failure } from '../src/wire/failure.ts'
import { maxHeadBytes } from './door/http1.ts'
import { defaultLimits, leastHeadBytes, type Limits } from './splice/limits.ts'
import { type StreamLog, streamLogs } from './splice/records.ts'

export type Environment = Record<string, string | undefined>

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Plain HTTP would show the access key to the network: only this machine's own is let pass. */
const Server = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || url.username || url.password || url.search || url.hash) return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback.has(url.hostname))
}, 'must be an https URL such as https://infra.example.com, without password, query or fragment')

/** A whole number within bounds, digits only: `1e3` and `0x10` are slips. */
const numberOf = (least: number, most: number) => {
  const says = `must be a whole number from ${least} to ${most}`
  const digits = z
    .string()
    .regex(/^[1-9][0-9]{0,8}$/, says)
    .transform(Number)
  return digits.refine((given) => given >= least && given <= most, says)
}

const File = z.string().transform((path) => resolve(path))

// prettier-ignore
const Fields = z.object({
  INFRA_SERVER: Server.describe('the URL of the server'),
  INFRA_SERVER_CA_FILE: File.optional().describe('PEM of the CA of a server that the system does not trust'),
  INFRA_ACCESS_KEY: z.string().optional().describe('the key of this connector, which says what destination it serves'),
  INFRA_ACCESS_KEY_FILE: File.optional().describe('a file that holds the key; read again at each dial'),
  INFRA_CONNECTOR_LISTEN: ListenAddress.describe('where kubectl is answered'),
  INFRA_CONNECTOR_ENDPOINT: Endpoint.optional().describe('host:port that kubectl reaches this by; absent: the name of this host'),
  INFRA_CONNECTOR_DATA_DIR: File.describe('where the serving certificate is kept'),
  INFRA_CONNECTOR_TLS_CERT_FILE: File.optional().describe('a serving certificate of your own, PEM, leaf first; absent: from the server'),
  INFRA_CONNECTOR_TLS_KEY_FILE: File.optional().describe('the private key of that certificate, PEM'),
  INFRA_POLL_INTERVAL: Duration.describe('how often access is asked for apart from the link'),
  INFRA_STREAM_LOG: z.enum(streamLogs, 'must be all, long or none').describe('which requests the log tells of: all, long (exec, attach, port-forward, watches, logs that are followed) or none'),
  INFRA_METRICS_LISTEN: ListenAddress.optional().describe('plain HTTP for /healthz, /readyz and /metrics; absent: off'),
  INFRA_MAX_CONNECTIONS: numberOf(1, 1_000_000).describe('connections at the door in all; one more takes the place of one without a request, or is closed'),
  INFRA_MAX_STRANGERS: numberOf(1, 1_000_000).describe('of these, such as never brought a request that was let in; one more takes the place of the oldest from where most of them come'),
  INFRA_MAX_STREAMS: numberOf(1, 1_000_000).describe('requests that one user may have open, watches and shells included; one more is answered 429'),
  INFRA_MAX_HEAD_BYTES: numberOf(leastHeadBytes, maxHeadBytes).describe('the longest head of a request; a longer one is answered 431'),
  INFRA_HEAD_TIMEOUT: Duration.describe('how long each may take: a handshake, the wait for the first request, a head'),
  INFRA_IDLE_TIMEOUT: Duration.describe('how long a connection may be quiet between requests; one with a request open may be for ever'),
  INFRA_DIAL_TIMEOUT: Duration.describe('how long it may take to connect to the API server'),
  INFRA_ANSWER_TIMEOUT: Duration.describe('how long the API server may take to begin an answer to what is no watch, log, shell or the like, once it has all of the request'),
  KUBECONFIG: File.optional().describe('how to reach the API server; absent: the service account of the pod'),
})
type Fields = z.output<typeof Fields>
type Name = keyof Fields
const names = Fields.keyof().options
const secrets: Name[] = ['INFRA_ACCESS_KEY']

export type Settings = {
  server: string
  /** The CA in PEM and the key are read anew at each call: an exchanged file needs no restart. */
  serverCa: () => string | null
  accessKey: () => string
  listen: Address
  endpoint: string | null
  dataDir: string
  ownCertificate: { certFile: string; keyFile: string } | null
  pollSeconds: number
  /** Whether that is somebody's wish, or the default. */
  isPollGiven: boolean
  streamLog: StreamLog
  metricsListen: Address | null
  limits: Limits
  kubeconfig: string | null
}

/** @throws {Failure} `invalid`, with a sentence that names the setting. */
export function readSettings(argv: string[], env: Environment): Settings {
  const given = { ...defaultsOf(env), ...givenIn(env), ...flagsIn(argv) }
  const read = Fields.safeParse(given)
  if (!read.success) throw refusalOf(read.error, given)
  const fields = read.data
  refuseSameAddress(fields)
  const settings = {
    server: fields.INFRA_SERVER,
    serverCa: serverCaOf(fields),
    accessKey: accessKeyOf(fields),
    listen: fields.INFRA_CONNECTOR_LISTEN,
    endpoint: fields.INFRA_CONNECTOR_ENDPOINT ?? null,
    dataDir: fields.INFRA_CONNECTOR_DATA_DIR,
    ownCertificate: ownCertificateOf(fields),
    pollSeconds: fields.INFRA_POLL_INTERVAL,
    isPollGiven: given.INFRA_POLL_INTERVAL !== defaultsOf(env).INFRA_POLL_INTERVAL,
    streamLog: fields.INFRA_STREAM_LOG,
    metricsListen: fields.INFRA_METRICS_LISTEN ?? null,
    limits: limitsOf(fields),
    kubeconfig: fields.KUBECONFIG ?? null,
  }
  // What cannot be read now is a mistake of whoever starts it; later it may be an exchange.
  settings.accessKey()
  settings.serverCa()
  return settings
}

/**
 * The flag of a setting.
 *
 * @example
 * flagOf('INFRA_CONNECTOR_DATA_DIR') // 'data-dir'
 */
export function flagOf(name: string): string {
  return name
    .replace(/^(INFRA_)?(CONNECTOR_)?/, '')
    .toLowerCase()
    .replaceAll('_', '-')
}

export type Described = { name: string; flag: string | null; fallback: string | null; says: string }

/** Every setting, in the order of the help. */
export function describedSettings(): Described[] {
  const defaults = defaultsOf({})
  return names.map((name) => ({
    name,
    flag: secrets.includes(name) ? null : flagOf(name),
    fallback: defaults[name]?.replace(homedir(), '~') ?? null,
    says: Fields.shape[name].description ?? '',
  }))
}

/** Every setting, as `--help` prints them. */
export function settingsHelp(): string {
  const lines = describedSettings().map(({ name, flag, fallback, says }) => {
    const end = fallback === null ? '' : ` (default ${fallback})`
    return `  ${name}${flag === null ? '' : `, --${flag}`}\n      ${says}${end}\n`
  })
  return `infra connector: run the connector beside a cluster

Usage: infra connector [--SETTING VALUE ...]

Settings, by environment variable or flag:

${lines.join('')}
Example:
  INFRA_ACCESS_KEY_FILE=key infra connector --server https://infra.example.com --endpoint prod.example.com:6443
`
}

function defaultsOf(env: Environment): Partial<Record<Name, string>> {
  const state = env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state')
  return {
    INFRA_CONNECTOR_LISTEN: '[::]:6443',
    INFRA_CONNECTOR_DATA_DIR: join(state, 'infra', 'connector'),
    INFRA_POLL_INTERVAL: '5m',
    INFRA_STREAM_LOG: 'long',
    INFRA_MAX_CONNECTIONS: String(defaultLimits.connections),
    INFRA_MAX_STRANGERS: String(defaultLimits.strangers),
    INFRA_MAX_STREAMS: String(defaultLimits.streamsPerUser),
    INFRA_MAX_HEAD_BYTES: String(defaultLimits.headBytes),
    INFRA_HEAD_TIMEOUT: `${defaultLimits.headMs / 1000}s`,
    INFRA_IDLE_TIMEOUT: `${defaultLimits.idleMs / 1000}s`,
    INFRA_DIAL_TIMEOUT: `${defaultLimits.dialMs / 1000}s`,
    INFRA_ANSWER_TIMEOUT: `${defaultLimits.answerMs / 1000}s`,
  }
}

function limitsOf(fields: Fields): Limits {
  return {
    connections: fields.INFRA_MAX_CONNECTIONS,
    strangers: fields.INFRA_MAX_STRANGERS,
    streamsPerUser: fields.INFRA_MAX_STREAMS,
    headBytes: fields.INFRA_MAX_HEAD_BYTES,
    headMs: fields.INFRA_HEAD_TIMEOUT * 1000,
    idleMs: fields.INFRA_IDLE_TIMEOUT * 1000,
    dialMs: fields.INFRA_DIAL_TIMEOUT * 1000,
    answerMs: fields.INFRA_ANSWER_TIMEOUT * 1000,
  }
}

/** An empty variable is one that a manifest left blank: not given. */
function givenIn(env: Environment): Partial<Record<Name, string>> {
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
}

function flagsIn(argv: string[]): Partial<Record<Name, string>> {
  const byFlag = new Map(names.filter((n) => !secrets.includes(n)).map((n) => [flagOf(n), n]))
  const options = Object.fromEntries(
    [...byFlag.keys()].map((f) => [f, { type: 'string' } as const]),
  )
  const { tokens } = parseArgs({ args: argv, options, strict: false, tokens: true })
  const given: Partial<Record<Name, string>> = {}
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    // What stands in the wrong place may be a secret, so it is not repeated.
    if (token.kind === 'positional') throw invalid('unexpected argument: settings are flags')
    const name = byFlag.get(token.name)
    if (!name) throw invalid(unknownFlag(token.name))
    if (!token.value) throw invalid(`${name} (--${token.name}) needs a value`)
    given[name] = token.value
  }
  return given
}

function unknownFlag(flag: string): string {
  if (!secrets.some((name) => flagOf(name) === flag)) return `unknown flag --${flag}`
  return `--${flag} is no flag: a secret comes by environment or by --${flag}-file`
}

function refusalOf(error: z.ZodError, given: Partial<Record<Name, string>>): Failure {
  const issue = error.issues[0]
  const name = names.find((each) => each === issue?.path[0]) ?? 'INFRA_SERVER'
  if (!given[name]) return invalid(`${name} (--${flagOf(name)}) is not set`)
  return invalid(`${name} (--${flagOf(name)}) ${issue?.message ?? 'is refused'}`)
}

function refuseSameAddress({
  INFRA_CONNECTOR_LISTEN: door,
  INFRA_METRICS_LISTEN: metrics,
}: Fields) {
  if (!metrics || metrics.port === 0 || metrics.port !== door.port) return
  if (metrics.host === door.host) {
    throw invalid('INFRA_METRICS_LISTEN and INFRA_CONNECTOR_LISTEN are the same address')
  }
}

function serverCaOf({ INFRA_SERVER_CA_FILE: file }: Fields): () => string | null {
  if (file === undefined) return () => null
  return () => {
    const pem = contentOf('INFRA_SERVER_CA_FILE', file)
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
    throw invalid('INFRA_SERVER_CA_FILE names a file that holds no certificate in PEM')
  }
}

function accessKeyOf(fields: Fields): () => string {
  const { INFRA_ACCESS_KEY: key, INFRA_ACCESS_KEY_FILE: file } = fields
  if (key !== undefined && file !== undefined) {
    throw invalid('INFRA_ACCESS_KEY and INFRA_ACCESS_KEY_FILE are both set: one is enough')
  }
  if (file !== undefined) {
    return () => asKey('INFRA_ACCESS_KEY_FILE', contentOf('INFRA_ACCESS_KEY_FILE', file))
  }
  if (key !== undefined) return () => asKey('INFRA_ACCESS_KEY', key)
  throw invalid('INFRA_ACCESS_KEY or INFRA_ACCESS_KEY_FILE (--access-key-file) is not set')
}

function asKey(name: Name, text: string): string {
  const key = text.trim()
  if (/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(key)) return key
  throw invalid(`${name} holds no access key, which is what \`infra destinations add\` prints`)
}

function ownCertificateOf(fields: Fields): Settings['ownCertificate'] {
  const certFile = fields.INFRA_CONNECTOR_TLS_CERT_FILE
  const keyFile = fields.INFRA_CONNECTOR_TLS_KEY_FILE
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile }
  if (certFile === undefined && keyFile === undefined) return null
  const missing = certFile === undefined ? 'CERT' : 'KEY'
  throw invalid(`INFRA_CONNECTOR_TLS_${missing}_FILE is not set, though its other half is`)
}

function contentOf(name: Name, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    throw new Failure('invalid', `${name} names a file that cannot be read (${code})`, { cause })
  }
}

function invalid(sentence: string): Failure {
  return new Failure('invalid', sentence)
}
