/**
 * Which proxy a connection goes by: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, read as Go's tools
 * and thus kubectl read them, so that one environment means one thing. A rule of ours, because
 * Bun's and Node's own readings differ, and a difference would be a connection that nobody expects.
 */
import { BlockList, isIP } from 'node:net'
import { Failure } from './failure.ts'

type Environment = Readonly<Record<string, string | undefined>>
type Target = { host: string; port: number }

const defaultPorts: Record<string, number> = { 'https:': 443, 'wss:': 443, 'http:': 80, 'ws:': 80 }

/**
 * The proxy for a connection to `url`, or null for a direct one. This machine itself is never
 * reached by a proxy, whatever the environment says: the proxy's loopback is another machine's.
 *
 * @throws {Failure} `invalid` where the variable holds no proxy; its value may hold a password, and
 * is not repeated.
 */
export function proxyFor(url: URL, env: Environment): URL | null {
  const isSecure = url.protocol === 'https:' || url.protocol === 'wss:'
  const name = isSecure ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const text = valueOf(env, name)
  if (text === '') return null
  const host = plainHost(url.hostname)
  const target = { host, port: Number(url.port) || (defaultPorts[url.protocol] ?? 0) }
  if (isLoopback(host) || isExempt(target, valueOf(env, 'NO_PROXY'))) return null
  return parsed(text, name)
}

/** The lower-case name is the older one and wins, as in Go and curl. */
function valueOf(env: Environment, name: string): string {
  return (env[name.toLowerCase()] || env[name] || '').trim()
}

function parsed(text: string, name: string): URL {
  const written = text.includes('://') ? text : `http://${text}`
  const proxy = URL.canParse(written) ? new URL(written) : null
  if (proxy && /^https?:$/.test(proxy.protocol)) return proxy
  throw new Failure('invalid', `${name}: must be the http or https URL of a proxy`)
}

function plainHost(host: string): string {
  return host
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase()
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isWithin(loopback, host)
}

function isExempt(target: Target, list: string): boolean {
  const entries = list.split(/[\s,]+/).filter((entry) => entry !== '')
  return entries.some((entry) => isNamed(entry.toLowerCase(), target))
}

/** `*`, an address, a range, a domain with all beneath it, or `.domain` for what is beneath only. */
function isNamed(entry: string, { host, port }: Target): boolean {
  if (entry === '*') return true
  if (entry.includes('/')) return isWithin(rangeOf(entry), host)
  const [, name = '', only] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? []
  if (only !== undefined && Number(only) !== port) return false
  const wanted = plainHost(name).replace(/^\*\./, '.')
  if (wanted === '' || wanted === '.') return false
  if (isIP(wanted)) return isWithin(listOf(wanted), host)
  return wanted.startsWith('.') ? host.endsWith(wanted) : `.${host}`.endsWith(`.${wanted}`)
}

function isWithin(list: BlockList | null, host: string): boolean {
  const family = isIP(host)
  return family !== 0 && (list?.check(host, family === 6 ? 'ipv6' : 'ipv4') ?? false)
}

function listOf(address: string): BlockList {
  const list = new BlockList()
  list.addAddress(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  return list
}

/** What is no range exempts nothing: a connection by the proxy is what was asked for. */
function rangeOf(text: string): BlockList | null {
  const [address = '', bits = ''] = text.split('/')
  const family = isIP(address)
  if (family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 6 ? 128 : 32)) {
    return null
  }
  const list = new BlockList()
  list.addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4')
  return list
}
