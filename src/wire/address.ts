/** Where a process listens, as it is written in a setting: `127.0.0.1:8443`, `[::]:6443`. */
import { z } from 'zod'

export type Address = { host: string; port: number }

const written =
  /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?)):([0-9]{1,5})$/

/**
 * The address that `text` says, or null when it is none. Both halves must be said: a listener that
 * is open to more than was meant is worse than a word too many. Port 0 means any free port.
 *
 * @example
 * parseAddress('[::]:6443') // { host: '::', port: 6443 }
 */
export function parseAddress(text: string): Address | null {
  const match = written.exec(text)
  if (!match) return null
  const [, bracketed, plain] = match
  const port = Number(match[3])
  if (port > 65_535) return null
  if (bracketed !== undefined) return isIpv6(bracketed) ? { host: bracketed, port } : null
  const host = plain ?? ''
  // What looks like an IPv4 address must be one: `127.0.0.256` is not a host's name.
  if (/^[0-9.]+$/.test(host) && !isIpv4(host)) return null
  return { host, port }
}

/**
 * `host:port` as it stands in a URL, with brackets around IPv6.
 *
 * @example
 * formatAddress({ host: '::1', port: 6443 }) // '[::1]:6443'
 */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** An address as it stands in a setting or a flag. */
export const ListenAddress = z.string().transform((text, context) => {
  const address = parseAddress(text)
  if (address) return address
  context.addIssue({
    code: 'custom',
    message: 'must be host:port such as 127.0.0.1:8443 or [::]:6443',
  })
  return z.NEVER
})

function isIpv4(host: string): boolean {
  return z.ipv4().safeParse(host).success
}

function isIpv6(host: string): boolean {
  return z.ipv6().safeParse(host).success
}
