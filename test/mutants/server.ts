/** The server's door: who may, who somebody is, and what they are given. */
import { breaksOf, type Mutant } from './mutant.ts'

const admit = breaksOf('src/admit.ts', 'src/admit.test.ts', [
  {
    name: 'L13: an administrator’s row is every user’s',
    old: `if (who === 'admin' && !actor.isAdmin)`,
    new: `if (who === 'admin' && actor.email === '')`,
  },
  {
    name: 'L11: a connector’s key opens the rows of users',
    old: `if (actor.kind !== 'user') throw new Failure('forbidden', "a connector's key may not do this")`,
    new: `if (actor.kind !== 'user') return`,
  },
  {
    name: 'L11: a user opens the rows of connectors',
    old: `if (actor.kind !== 'connector') throw`,
    new: `if (actor.kind === 'system') throw`,
  },
  {
    name: 'L6: a session that has ended proves its user',
    old: `return session.endedAt === null && session.expiresAt`,
    new: `return session.expiresAt`,
  },
  {
    name: 'L6: a key past its expiry proves its user',
    old: `key.endedAt === null && (key.expiresAt === null || key.expiresAt > now)`,
    new: `key.endedAt === null`,
  },
  {
    name: 'L6: the session of a disabled user proves them',
    old: `.innerJoin(users, and(eq(users.id, sessions.userId), isNull(users.disabledAt)))`,
    new: `.innerJoin(users, eq(users.id, sessions.userId))`,
  },
  {
    name: 'L6: the key of a disabled user proves them',
    old: `.leftJoin(users, and(eq(users.id, accessKeys.userId), isNull(users.disabledAt)))`,
    new: `.leftJoin(users, eq(users.id, accessKeys.userId))`,
  },
  {
    name: 'L6: the secret of a session is not compared',
    old: `if (!row || !isSecretOf(secret, row.session.secretHash)) return null`,
    new: `if (!row || secret === '') return null`,
  },
  {
    name: 'L7: X-Forwarded-For is believed, whoever wrote it',
    old: `if (hops.length === 0 || !trusted.check(hop, family === 6 ? 'ipv6' : 'ipv4')) return hop`,
    new: `if (hops.length === 0) return hop`,
  },
])

const tokens = breaksOf('src/tokens.ts', 'src/tokens.test.ts', [
  {
    name: 'D6: a reserved name gets a token',
    old: `if (isReserved(user.email)) throw`,
    new: `if (user.email === '') throw`,
  },
  {
    name: 'R1: a token is signed without a grant that stands',
    old: `rows.find(({ expiresAt }) => expiresAt === null || expiresAt > now)`,
    new: `(now, rows[0])`,
  },
  {
    name: 'R1: a token outlives the session that it was signed for',
    old: `const end = Math.min(life, credential.expiresAt?.getTime() ?? Infinity)`,
    new: `const end = credential.expiresAt === undefined ? 0 : life`,
  },
])

const identities = breaksOf('src/login/identity.ts', 'src/login/identity.test.ts', [
  {
    name: 'L1: an e-mail that is not verified names its bearer',
    old: `if (!isEmailVerified && !rules.vouchesForEmails)`,
    new: `if (email === '' && !rules.vouchesForEmails)`,
  },
  {
    name: 'L1: any domain may log in',
    old: `rules.allowedDomains.length > 0 && !rules`,
    new: `rules.allowedDomains.length < 0 && !rules`,
  },
  {
    name: 'L1: anybody’s issuer needs no rule',
    old: `if (tooOpen !== null) throw refusal(tooOpen)`,
    new: ``,
  },
])

const joins = breaksOf('src/login/join.ts', 'src/login/join.test.ts', [
  {
    name: 'L1: a user is joined by any provider that knows the e-mail',
    old: `if (isEmailVerified && trustedDomains.includes(domainOf(email))) return null`,
    new: `if (isEmailVerified || trustedDomains.includes(domainOf(email))) return null`,
  },
  {
    name: 'L1: an e-mail given to somebody else hands over the access',
    old: `if (isKnownAsAnother) {`,
    new: `if (isKnownAsAnother && email === '') {`,
  },
])

const app = breaksOf('src/app.ts', 'src/app.test.ts', [
  {
    name: 'L13: a page of another site may change things',
    old: `(origin !== undefined && origin !== settings.url) ||`,
    new: ``,
  },
  {
    name: 'L13: what a browser says of a site is not looked at',
    old: ` || !['same-origin', 'none'].includes(site)`,
    new: ` || site === ''`,
    tests: ['src/app.sites.test.ts'],
  },
])

const names = breaksOf('src/wire/names.ts', 'src/users.test.ts', [
  {
    name: 'D3: an e-mail may hold what no header can',
    old: `.regex(/^[!-?A-~]+@[!-?A-~]+$/, 'must be an e-mail address in visible ASCII')`,
    new: `.regex(/@/, 'must be an e-mail address in visible ASCII')`,
  },
])

export const ofTheServer: Mutant[] = [
  ...[...admit, ...tokens, ...identities],
  ...[...joins, ...app, ...names],
]
