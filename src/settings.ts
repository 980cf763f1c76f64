/**
 * The server's settings: read once, in `main.ts`, and handed on as values with nothing optional.
 *
 * Each may come as a flag, from the environment or from the settings file, in this order. The file
 * names them in lower camel case, without `INFRA_`: `dataDir`, `adminEmail`, `databaseUrl`. Secrets
 * have no flag, because every user of a machine can read its processes' arguments: they come from
 * the environment, from the file, or from a file of their own (`…_FILE`, `--…-file`, `…File`).
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parse, YAMLParseError } from 'yaml'
import { z } from 'zod'
import { type Field, fields, flagOf, keyOf, settingsFile } from './settings-fields.ts'
import { type Address, formatAddress } from './wire/address.ts'
import { Failure } from './wire/failure.ts'

export type Settings = {
  listen: Address
  /** The public URL, an origin without a slash at its end; the issuer of tokens. */
  url: string
  dataDir: string
  /** Null: PGlite in the data directory. */
  databaseUrl: string | null
  /** Null: made in the data directory. */
  sealingKeyFile: string | null
  tls: { kind: 'off' } | { kind: 'own' } | { kind: 'files'; certFile: string; keyFile: string }
  trustedProxies: string[]
  insecureProviders: boolean
  revalidateSeconds: number
  revalidateGraceSeconds: number
  leaseSeconds: number
  tokenSeconds: number
  sessionSeconds: number
  sessionIdleSeconds: number
  metricsListen: Address | null
  adminEmail: string | null
  adminPassword: string | null
  adminAccessKey: string | null
}

type Environment = Readonly<Record<string, string | undefined>>
type Given = Map<string, { text: string; from: string }>
type ReadFile = (path: string) => string

const readText: ReadFile = (path) => readFileSync(path, 'utf8')

/**
 * The settings that `argv`, `env` and the settings file say.
 *
 * @throws {Failure} `invalid` for nonsense, with a sentence that names the setting and never its
 * value: it may be a secret.
 */
export function readSettings(
  argv: readonly string[],
  env: Environment,
  readFile: ReadFile = readText,
): Settings {
  const flags = givenAsFlags(argv)
  const given = givenInEnvironment(env)
  const path = (flags.get(settingsFile.name) ?? given.get(settingsFile.name))?.text
  const all: Given = new Map([
    ...(path === undefined ? [] : givenInFile(readNamed(path, settingsFile.name, readFile), path)),
    ...given,
    ...flags,
  ])
  return settingsOf(all, env, readFile)
}

/** Every setting in lines for a terminal: its names, its default and its sentence. */
export function settingsHelp(): string {
  return [settingsFile, ...fields].map(helpOf).join('\n')
}

function helpOf(field: Field): string {
  const flag = field.secret ? `--${flagOf(field.name)}-file F` : `--${flagOf(field.name)}`
  const also = field.secret ? `, ${field.name}_FILE` : ''
  const byDefault = field.shown ?? field.default
  const end = byDefault === undefined ? '' : ` (default: ${byDefault})`
  return `  ${field.name}${also}, ${flag}\n      ${field.says}${end}`
}

function givenAsFlags(argv: readonly string[]): Given {
  const given: Given = new Map()
  const rest = [...argv]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const match = /^--([a-z][a-z-]*)(?:=(.*))?$/s.exec(word)
    const name = match?.[1] && nameOfFlag(match[1])
    // The word is not repeated: it may be a secret that somebody tried to hand in.
    if (!name) throw new Failure('invalid', 'unknown flag, see infra server --help')
    const text = match[2] ?? rest.shift()
    if (text === undefined) throw new Failure('invalid', `--${match[1]} needs a value`)
    if (given.has(name)) throw new Failure('invalid', `--${match[1]} is given twice`)
    given.set(name, { text, from: `--${match[1]}` })
  }
  return given
}

function nameOfFlag(flag: string): string | null {
  if (flag === flagOf(settingsFile.name)) return settingsFile.name
  for (const { name, secret } of fields) {
    if (!secret && flag === flagOf(name)) return name
    if (secret && flag === `${flagOf(name)}-file`) return `${name}_FILE`
  }
  return null
}

/** An empty variable is one that is not given, as templates of manifests leave them. */
function givenInEnvironment(env: Environment): Given {
  const names = [settingsFile, ...fields].flatMap(({ name, secret }) =>
    secret ? [name, `${name}_FILE`] : [name],
  )
  return new Map(
    names.flatMap((name) => (env[name] ? [[name, { text: env[name], from: name }]] : [])),
  )
}

const Scalars = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))

/** A key that is none of ours is refused: a misspelt setting must not be silently the default. */
function givenInFile(text: string, path: string): Given {
  const read = Scalars.safeParse(yamlOf(text, path) ?? {})
  if (!read.success) {
    throw new Failure('invalid', `${path}: must hold settings and plain values, such as lease: 6m`)
  }
  const given: Given = new Map()
  for (const [key, value] of Object.entries(read.data)) {
    const field = fields.find(({ name }) => keyOf(name) === key.replace(/File$/, ''))
    const whole = fields.find(({ name }) => keyOf(name) === key)
    if (!whole && !field?.secret) throw new Failure('invalid', `${path}: unknown setting ${key}`)
    const name = whole ? whole.name : `${field?.name}_FILE`
    if (value !== null) given.set(name, { text: String(value), from: `${key} in ${path}` })
  }
  return given
}

/** The parser's own sentence quotes the line that it stumbles over, which may hold a secret. */
function yamlOf(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined
    throw new Failure('invalid', `${path}: is not YAML${line ? ` (line ${line})` : ''}`)
  }
}

function readNamed(path: string, name: string, readFile: ReadFile): string {
  try {
    return readFile(path)
  } catch (cause) {
    throw new Failure('invalid', `${name}: cannot read ${path}`, { cause })
  }
}

function settingsOf(given: Given, env: Environment, readFile: ReadFile): Settings {
  const read = <T>(name: string, schema: z.ZodType<T>): T => {
    const { text, from } = textOf(name, given, readFile)
    const parsed = schema.safeParse(text)
    if (parsed.success) return parsed.data
    throw new Failure('invalid', `${from}: ${parsed.error.issues[0]?.message ?? 'is not valid'}`)
  }
  const values = Object.fromEntries(
    fields.map(({ name, schema }) => [keyOf(name), read(name, schema)]),
  )
  return together(Flat.parse(values), env)
}

/** A secret may stand in a file of its own; the newline that editors leave at its end is not part. */
function textOf(name: string, given: Given, readFile: ReadFile): { text?: string; from: string } {
  const own = given.get(name)
  const file = given.get(`${name}_FILE`)
  if (own && file) throw new Failure('invalid', `${own.from} and ${file.from} are both given`)
  if (file) return { text: readNamed(file.text, file.from, readFile).trim(), from: file.from }
  return own ?? { from: name }
}

const Text = z.string().nullable()
const Place = z.object({ host: z.string(), port: z.number() })
const Flat = z.object({
  ...{ listen: Place, url: Text, dataDir: Text, databaseUrl: Text, sealingKeyFile: Text },
  ...{ tls: z.enum(['on', 'off']), tlsCertFile: Text, tlsKeyFile: Text },
  ...{ trustedProxies: z.array(z.string()), insecureProviders: z.boolean() },
  ...{ revalidateInterval: z.number(), revalidateGrace: z.number() },
  ...{ lease: z.number(), tokenLifetime: z.number() },
  ...{ sessionLifetime: z.number(), sessionIdle: z.number(), metricsListen: Place.nullable() },
  ...{ adminEmail: Text, adminPassword: Text, adminAccessKey: Text },
})
type Flat = z.infer<typeof Flat>

/** What no field can judge alone. */
function together(flat: Flat, env: Environment): Settings {
  const tls = tlsOf(flat)
  const url = flat.url ?? urlOf(flat.listen, tls)
  if (tls.kind !== 'off' && url.startsWith('http:')) {
    throw new Failure('invalid', 'INFRA_URL: is http, while INFRA_TLS is not off')
  }
  if (flat.sessionIdle > flat.sessionLifetime) {
    throw new Failure('invalid', 'INFRA_SESSION_IDLE: is longer than INFRA_SESSION_LIFETIME')
  }
  const { listen, databaseUrl, sealingKeyFile, trustedProxies, insecureProviders } = flat
  const { metricsListen, adminEmail, adminPassword, adminAccessKey } = flat
  return {
    ...{ listen, url, dataDir: flat.dataDir ?? stateDirectory(env), databaseUrl, sealingKeyFile },
    ...{ tls, trustedProxies, insecureProviders, revalidateSeconds: flat.revalidateInterval },
    revalidateGraceSeconds: flat.revalidateGrace,
    ...{ leaseSeconds: flat.lease, tokenSeconds: flat.tokenLifetime },
    ...{ sessionSeconds: flat.sessionLifetime, sessionIdleSeconds: flat.sessionIdle },
    ...{ metricsListen, adminEmail, adminPassword, adminAccessKey },
  }
}

function tlsOf({ tls, tlsCertFile, tlsKeyFile }: Flat): Settings['tls'] {
  if ((tlsCertFile === null) !== (tlsKeyFile === null)) {
    throw new Failure('invalid', 'INFRA_TLS_CERT_FILE and INFRA_TLS_KEY_FILE belong together')
  }
  if (tlsCertFile === null || tlsKeyFile === null) return { kind: tls === 'off' ? 'off' : 'own' }
  if (tls === 'off') throw new Failure('invalid', 'INFRA_TLS: is off, but a certificate is given')
  return { kind: 'files', certFile: tlsCertFile, keyFile: tlsKeyFile }
}

function urlOf({ host, port }: Address, tls: Settings['tls']): string {
  if (port === 0) throw new Failure('invalid', 'INFRA_URL: must be given where the port is 0')
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  const scheme = tls.kind === 'off' ? 'http' : 'https'
  return new URL(`${scheme}://${formatAddress({ host: name, port })}`).origin
}

function stateDirectory(env: Environment): string {
  return join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'infra')
}
