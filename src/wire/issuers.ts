/**
 * Issuers at which anybody can have an account. Being known to one of them says nothing about a
 * person, so a provider for it needs a rule about who may log in: domains, or a claim.
 */

/** By host, and for some by the first part of the path: other tenants there are closed. */
const open: Record<string, 'all' | string[]> = {
  'accounts.google.com': 'all',
  'appleid.apple.com': 'all',
  'github.com': 'all',
  'token.actions.githubusercontent.com': 'all',
  'gitlab.com': 'all',
  'bitbucket.org': 'all',
  'www.facebook.com': 'all',
  'www.linkedin.com': 'all',
  'slack.com': 'all',
  'discord.com': 'all',
  'id.twitch.tv': 'all',
  'login.live.com': 'all',
  'login.yahoo.com': 'all',
  'api.login.yahoo.com': 'all',
  'login.salesforce.com': 'all',
  'orcid.org': 'all',
}

/**
 * Entra ID: these stand for every tenant there is, or for personal accounts; the last one is the id
 * of the tenant that holds all personal accounts.
 */
const entraHosts = ['login.microsoftonline.com', 'login.windows.net', 'sts.windows.net']
for (const host of [...entraHosts, 'login.microsoft.com', 'login.microsoftonline.us']) {
  open[host] = [
    'common',
    'organizations',
    'consumers',
    '{tenantid}',
    '{tenant}',
    '9188040d-6c67-4c5b-b112-36a304b66dad',
  ]
}

/**
 * Whether anybody can have an account at an issuer. It knows the large ones, not all that exist:
 * an issuer it does not know is taken for one that an organisation runs for its own people.
 *
 * @example
 * isOpenIssuer('https://accounts.google.com') // true
 * isOpenIssuer('https://login.microsoftonline.com/common/v2.0') // true
 * isOpenIssuer('https://example.okta.com') // false
 */
export function isOpenIssuer(issuer: string): boolean {
  const { hostname, pathname } = new URL(issuer)
  // A name with a dot at its end is the same host to DNS.
  const host = hostname.replace(/\.+$/, '')
  const which = Object.hasOwn(open, host) ? open[host] : undefined
  if (!which) return false
  if (which === 'all') return true
  const first = pathname.split('/').find((part) => part !== '') ?? ''
  const tenant = first.replace(/%7b/gi, '{').replace(/%7d/gi, '}').toLowerCase()
  // No tenant stands for `common`, and one that is written in disguise is taken for it.
  return tenant === '' || tenant.includes('%') || which.includes(tenant)
}

/**
 * Why a provider would let in people that nobody chose, or null. Judged where a provider is made or
 * changed, and again at each login, because this list grows.
 */
export function whyTooOpen(provider: {
  issuer: string
  allowedDomains: string[]
  requiredClaim: object | null
  vouchesForEmails: boolean
}): string | null {
  if (!isOpenIssuer(provider.issuer) || provider.requiredClaim !== null) return null
  if (provider.allowedDomains.length === 0) {
    return `anybody can have an account at ${provider.issuer}: say who may log in, by domains or by a required claim`
  }
  // Who makes an account there writes any e-mail into it, also one of an allowed domain.
  if (provider.vouchesForEmails) {
    return `anybody can have an account at ${provider.issuer}: nobody can vouch for its e-mails without a required claim`
  }
  return null
}
