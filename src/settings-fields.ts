/** Each setting of the server: its name, its default, its sentence and what it may hold. */
import { BlockList, isIP } from 'node:net'
import { z } from 'zod'
import { parseCredential } from './credential.ts'
import { ListenAddress } from './wire/address.ts'
import { maxLeaseSeconds, minLeaseSeconds } from './wire/destinations.ts'
import { formatDuration, parseDuration } from './wire/duration.ts'
import { Email } from './wire/names.ts'

export type Field = {
  name: string
  says: string
  schema: z.ZodType
  default?: string
  /** The default in words, where it is made of other settings. */
  shown?: string
  secret?: true
}

/** `INFRA_DATA_DIR` as a flag: `data-dir`. */
export function flagOf(name: string): string {
  return name
    .replace(/^INFRA_/, '')
    .toLowerCase()
    .replaceAll('_', '-')
}

/** `INFRA_DATA_DIR` in the settings file: `dataDir`. */
export function keyOf(name: string): string {
  return flagOf(name).replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** A duration within bounds, in seconds. */
function span(byDefault: string, least: number, most: number): z.ZodType<number> {
  return z
    .string()
    .default(byDefault)
    .transform((text, context) => {
      const seconds = parseDuration(text)
      if (seconds !== null && seconds >= least && seconds <= most) return seconds
      const message = `must be a duration from ${formatDuration(least)} to ${formatDuration(most)}`
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    })
}

const optional = (schema: z.ZodType<string>) => schema.optional().transform((text) => text ?? null)
const path = optional(z.string().min(1, 'must be a path'))

/** An origin: a path, a query or a user in it would make two writings of one issuer. */
const origin = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null
  const bare = url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`
  if (bare && !text.includes('?') && !text.includes('#')) return url.origin
  context.addIssue({ code: 'custom', message: 'must be http(s)://host or http(s)://host:port' })
  return z.NEVER
})

/** Whether `text` is an address or a range such as `10.0.0.0/8`. */
export function isRange(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  if (bits === undefined) return true
  return /^[0-9]{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
}

/** The ranges as a list that answers whether an address is among them. */
export function rangesOf(texts: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of texts) {
    const [address = '', bits] = text.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}

const ranges = z
  .string()
  .default('')
  .transform((text) => text.split(/[\s,]+/).filter((word) => word !== ''))
  .refine((words) => words.every(isRange), 'must be addresses or ranges, separated by commas')

const day = 86_400

export const settingsFile: Field = {
  name: 'INFRA_SETTINGS_FILE',
  says: 'A YAML file of settings, named in lower camel case without INFRA_: dataDir, lease.',
  schema: path,
}

// prettier-ignore
export const fields: Field[] = [
  { name: 'INFRA_LISTEN', default: '127.0.0.1:8443', schema: z.string().default('127.0.0.1:8443').pipe(ListenAddress),
    says: 'Where the server listens.' },
  { name: 'INFRA_URL', shown: 'made from INFRA_LISTEN', schema: optional(origin),
    says: 'The public URL; the issuer of tokens.' },
  { name: 'INFRA_DATA_DIR', shown: 'infra in the XDG state directory', schema: path,
    says: 'Holds the embedded database, keys and certificates.' },
  { name: 'DATABASE_URL', secret: true, shown: 'the embedded database', schema: optional(z.string().regex(/^postgres(ql)?:\/\//, 'must begin with postgres://')),
    says: 'A PostgreSQL database to keep everything in.' },
  { name: 'INFRA_SEALING_KEY_FILE', shown: 'made in the data directory', schema: path,
    says: 'Holds the key that seals secrets at rest, 32 bytes in base64; replicas must share one.' },
  { name: 'INFRA_TLS', default: 'on', schema: z.enum(['on', 'off'], 'must be on or off').default('on'),
    says: 'Set to off, the server speaks plain HTTP: only behind a proxy that ends TLS.' },
  { name: 'INFRA_TLS_CERT_FILE', shown: 'a certificate of the own CA', schema: path,
    says: 'The certificate of the server and its chain, PEM.' },
  { name: 'INFRA_TLS_KEY_FILE', schema: path,
    says: 'The private key of that certificate, PEM.' },
  { name: 'INFRA_TRUSTED_PROXIES', shown: 'none', schema: ranges,
    says: 'Addresses or ranges whose X-Forwarded-For is believed.' },
  { name: 'INFRA_INSECURE_PROVIDERS', default: 'false', schema: z.enum(['true', 'false'], 'must be true or false').default('false').transform((text) => text === 'true'),
    says: 'Unsafe: lets providers be plain HTTP and at loopback or private addresses.' },
  { name: 'INFRA_REVALIDATE_INTERVAL', default: '5m', schema: span('5m', 1, day),
    says: 'How often each provider is asked whether its sessions still stand.' },
  { name: 'INFRA_REVALIDATE_GRACE', default: '1h', schema: span('1h', 1, 30 * day),
    says: 'How long sessions stand while their provider gives no answer.' },
  { name: 'INFRA_LEASE', default: '6m', schema: span('6m', minLeaseSeconds, maxLeaseSeconds),
    says: 'How long a connector that cannot reach the server still lets anybody in.' },
  { name: 'INFRA_TOKEN_LIFETIME', default: '5m', schema: span('5m', minLeaseSeconds, maxLeaseSeconds),
    says: 'How long a token is good for; never longer than the lease of its destination.' },
  { name: 'INFRA_SESSION_LIFETIME', default: '30d', schema: span('30d', 60, 3650 * day),
    says: 'How long a session lasts at most.' },
  { name: 'INFRA_SESSION_IDLE', default: '3d', schema: span('3d', 60, 3650 * day),
    says: 'How long a session lasts without being used.' },
  { name: 'INFRA_METRICS_LISTEN', shown: 'off', schema: z.string().pipe(ListenAddress).optional().transform((at) => at ?? null),
    says: 'Where /metrics, /healthz and /readyz are served as plain HTTP.' },
  { name: 'INFRA_ADMIN_EMAIL', shown: 'admin@infra.local', schema: optional(Email),
    says: 'The e-mail of the first administrator.' },
  { name: 'INFRA_ADMIN_PASSWORD', secret: true, shown: 'made once, in a file of the data directory', schema: optional(z.string().min(8, 'must have at least 8 characters').max(1024)),
    says: 'The password of the first administrator.' },
  { name: 'INFRA_ADMIN_ACCESS_KEY', secret: true, shown: 'none', schema: optional(z.string().refine((text) => parseCredential(text) !== null, 'must be id.secret, both base64url, the secret of at least 22 characters')),
    says: 'An access key (id.secret) of the first administrator, for automation.' },
]
