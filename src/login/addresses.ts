/**
 * Which addresses a provider may have. Whoever can name a URL that the server fetches must not
 * reach what only the server can reach: this machine, its network, a cloud's metadata
 * (security.md L8).
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** Never, whatever the settings say: link-local, and where clouds answer with credentials. */
const metadata = listOf([
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['fe80::', 10],
  ['fd00:ec2::', 32],
  ['fd20:ce::', 32],
])

/** Ways over IPv6 to an IPv4 address that nobody judged: 6to4, Teredo, a network's own NAT64. */
const tunnels = listOf([
  ['2002::', 16],
  ['2001::', 32],
  ['64:ff9b:1::', 48],
])

/** IPv4 that is not on the public Internet (IANA's special-purpose registry). */
const special4 = listOf([
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
])

/** IPv6: all that is public today, and within it what is not, or leads to some IPv4 address. */
const public6 = listOf([['2000::', 3]])
const special6 = listOf([
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
])

/**
 * Whether the server may connect to an address: `'public'` ones only, or with `'any'` also private
 * and loopback ones. What is no address is refused.
 */
export function mayConnect(address: string, which: 'public' | 'any'): boolean {
  const plain = embedded4(address) ?? address
  if (isIPv4(plain)) {
    if (metadata.check(plain, 'ipv4')) return false
    return which === 'any' || !special4.check(plain, 'ipv4')
  }
  if (!isIPv6(plain) || plain.includes('%')) return false
  if (metadata.check(plain, 'ipv6') || tunnels.check(plain, 'ipv6')) return false
  if (which === 'any') return true
  return public6.check(plain, 'ipv6') && !special6.check(plain, 'ipv6')
}

/** The IPv4 address that an IPv6 one stands for: mapped or compatible (RFC 4291), or by NAT64 (RFC 6052). */
function embedded4(address: string): string | null {
  if (!isIPv6(address) || address.includes('%')) return null
  // The URL parser writes every form of an address in one way, the last 32 bits in hexadecimal.
  const written = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const match = /^(?:::ffff:|64:ff9b::|::(?=[0-9a-f]+:))(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(
    written,
  )
  if (!match?.[2]) return null
  const high = Number.parseInt(match[1] ?? '0', 16)
  const low = Number.parseInt(match[2], 16)
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

function listOf(subnets: [string, number][]): BlockList {
  const list = new BlockList()
  for (const [net, prefix] of subnets) {
    list.addSubnet(net, prefix, isIPv6(net) ? 'ipv6' : 'ipv4')
  }
  return list
}
