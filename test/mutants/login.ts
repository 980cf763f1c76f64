/** Logging in: who somebody is, by password or by a provider's word. */
import { breaksOf, type Mutant } from './mutant.ts'

const exchange = breaksOf('src/login/exchange.ts', 'src/login/exchange.test.ts', [
  {
    name: 'L1: the signature of an ID token is left to TLS',
    old: `  await validateApplicationLevelSignature(server, response, requests)
  return tokens`,
    new: `  return tokens`,
  },
  {
    name: 'L1: the nonce is not compared',
    old: `expectedNonce: begun.nonce,`,
    new: ``,
  },
  {
    name: 'L1: an ID token made for another client is taken',
    old: `if (claims.azp !== undefined && claims.azp !== clientId)`,
    new: `if (clientId === '')`,
  },
])

const oidc = breaksOf('src/login/oidc.ts', 'src/login/oidc.test.ts', [
  {
    name: 'L4: anybody finishes a login that they know of',
    old: `if (!login || !isSecretOf(verifier, login.challenge))`,
    new: `if (!login || verifier === '')`,
  },
  {
    name: 'L4: a login may take for ever',
    old: `if (login.expiresAt <= call.now)`,
    new: `if (login.expiresAt < new Date(0))`,
  },
  {
    name: 'L1: any redirect URI begins a login',
    old: `  judgeRedirectUri(redirectUri, provider)\n`,
    new: ``,
  },
])

const pending = breaksOf('src/login/pending.ts', 'src/login/oidc.test.ts', [
  {
    name: 'L4: a login is finished as often as one likes',
    old: `const [taken] = await db.delete(logins).where(eq(logins.id, id)).returning()`,
    new: `const [taken] = await db.select().from(logins).where(eq(logins.id, id))`,
  },
])

const guesses = breaksOf('src/login/guesses.ts', 'src/login/guesses.test.ts', [
  {
    name: 'L7: an account may be guessed at for ever',
    old: `const perAccount = 10`,
    new: `const perAccount = 1_000_000`,
  },
  {
    name: 'L7: an address may try any number of accounts',
    old: `const perAddress = 100`,
    new: `const perAddress = 1_000_000`,
  },
  {
    name: 'L7: a right password forgives all that its address tried',
    old: 'set({ count: sql`greatest(${guesses.count} - 1, 0)` })',
    new: 'set({ count: 0 })',
  },
  {
    name: 'L7: of an IPv6 network each address counts apart',
    old: `.slice(0, 4)`,
    new: `.slice(0, 8)`,
  },
])

const network = breaksOf('src/login/network.ts', 'src/login/network.test.ts', [
  {
    name: 'L8: plain http is taken',
    old: `if (!isSecure && (which === 'public' || url.protocol !== 'http:'))`,
    new: `if (!isSecure && url.protocol !== 'http:')`,
  },
  {
    name: 'L8: an address that is written out is not judged',
    old: `if (isIP(host) && !mayConnect(host, which)) throw`,
    new: `if (isIP(host) > 6 && !mayConnect(host, which)) throw`,
  },
  {
    name: 'L8: of the addresses of a name only the first is judged',
    old: `if (!addresses.every(({ address }) => mayConnect(address, which)))`,
    new: `if (!mayConnect(first.address, which))`,
  },
  {
    name: 'L8: an answer may have any size',
    old: `if (length > maxBytes)`,
    new: `if (length < 0)`,
  },
])

const addresses = breaksOf('src/login/addresses.ts', 'src/login/addresses.test.ts', [
  {
    name: 'L8: an IPv4 address written as IPv6 is judged as IPv6',
    old: `const plain = embedded4(address) ?? address`,
    new: `const plain = address === '' ? (embedded4(address) ?? '') : address`,
  },
  {
    name: 'L8: metadata services may be asked where private addresses may',
    old: `    if (metadata.check(plain, 'ipv4')) return false\n`,
    new: ``,
  },
])

const sealer = breaksOf('src/seal.ts', 'src/seal.test.ts', [
  {
    name: 'S4: what was sealed as one thing opens as another',
    old: `    cipher.setAAD(Buffer.from(purpose))
    const sealed`,
    new: `    cipher.setAAD(Buffer.from(''))
    const sealed`,
  },
])

const loopback = breaksOf('cli/login/loopback.ts', 'cli/login/loopback.test.ts', [
  {
    name: 'L5: the loopback listener answers by any name',
    old: `if (hosts.length !== 1 || hosts[0] !== this.#host)`,
    new: `if (hosts.length === 0)`,
    hangs: true,
  },
  {
    name: 'L5: the loopback listener answers at any path',
    old: `if (path !== this.#path) return refuse`,
    new: `if (path === '') return refuse`,
  },
  {
    name: 'L5: any callback ends the wait',
    old: ` || !carries(query, this.#state)`,
    new: ``,
    hangs: true,
  },
  {
    name: 'L5: the loopback listener answers twice',
    old: `    this.#state = null
    this.#arrived`,
    new: `    this.#arrived`,
    hangs: true,
  },
])

export const ofTheLogin: Mutant[] = [
  ...[...exchange, ...oidc, ...pending, ...guesses],
  ...[...network, ...addresses, ...sealer, ...loopback],
]
