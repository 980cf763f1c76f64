/**
 * What a provider's claims say of a person, judged by the rules that an administrator gave the
 * provider. Pure: whatever is refused here has touched nothing.
 */
import { Failure } from '../wire/failure.ts'
import { whyTooOpen } from '../wire/issuers.ts'
import { Email } from '../wire/names.ts'

export type Claims = Record<string, unknown>

export type Rules = {
  issuer: string
  groupsClaim: string
  allowedDomains: string[]
  requiredClaim: { name: string; value: string } | null
  vouchesForEmails: boolean
}

/** Who a provider says somebody is. Issuer and subject name the person; an e-mail only describes. */
export type Identity = {
  issuer: string
  subject: string
  email: string
  /** Said by the provider itself; false where only our setting vouches for it. */
  isEmailVerified: boolean
  groups: string[]
}

/**
 * The identity in the claims of a verified ID token, and what the person should know.
 *
 * An e-mail that the provider does not call verified names nobody, for at many providers everybody
 * writes any e-mail into their own profile.
 *
 * @throws {Failure} `unauthenticated`
 */
export function claimsToIdentity(
  claims: Claims,
  rules: Rules,
): { identity: Identity; warnings: string[] } {
  const tooOpen = whyTooOpen(rules)
  if (tooOpen !== null) throw refusal(tooOpen)
  const subject = own(claims, 'sub')
  // OpenID Connect Core section 2: at most 255 ASCII characters.
  if (typeof subject !== 'string' || !/^[ -~]{1,255}$/.test(subject)) {
    throw refusal('the provider sent no usable subject')
  }
  const email = emailOf(claims)
  const isEmailVerified = own(claims, 'email_verified') === true
  if (!isEmailVerified && !rules.vouchesForEmails) {
    throw refusal(`the provider does not say that the e-mail ${email} is verified`)
  }
  if (rules.allowedDomains.length > 0 && !rules.allowedDomains.includes(domainOf(email))) {
    throw refusal(`e-mails of ${domainOf(email)} may not log in by this provider`)
  }
  if (
    rules.requiredClaim &&
    !holds(own(claims, rules.requiredClaim.name), rules.requiredClaim.value)
  ) {
    throw refusal(`the claim ${rules.requiredClaim.name} does not let this person log in`)
  }
  const { groups, warnings } = groupsOf(claims, rules.groupsClaim)
  return { identity: { issuer: rules.issuer, subject, email, isEmailVerified, groups }, warnings }
}

/** The domain of an e-mail, in lower case as `Email` left it: all after the last `@`. */
export function domainOf(email: string): string {
  return email.slice(email.lastIndexOf('@') + 1)
}

/** Whether the userinfo endpoint must be asked for what the ID token does not say. */
export function lacksClaims(claims: Claims, groupsClaim: string): boolean {
  if (own(claims, 'email') === undefined || own(claims, 'email_verified') === undefined) return true
  return own(claims, groupsClaim) === undefined && !isOverage(claims, groupsClaim)
}

/**
 * The ID token's claims with what only userinfo says. An e-mail and the word that it is verified
 * come from the same source: of two sources that differ, one would vouch for the other's e-mail.
 */
export function withUserinfo(claims: Claims, userinfo: Claims, groupsClaim: string): Claims {
  const isWhole = own(claims, 'email') !== undefined && own(claims, 'email_verified') !== undefined
  const of = isWhole || own(userinfo, 'email') === undefined ? claims : userinfo
  const groups = own(claims, groupsClaim) ?? own(userinfo, groupsClaim)
  return {
    ...claims,
    email: own(of, 'email'),
    email_verified: own(of, 'email_verified'),
    ...(groups === undefined ? {} : { [groupsClaim]: groups }),
  }
}

/**
 * What userinfo alone says, over what was said before: a claim that only an ID token carries is not
 * withdrawn by an answer that never mentions it. Another e-mail is not verified by the old word.
 */
export function withLast(last: Claims, userinfo: Claims): Claims {
  const email = own(userinfo, 'email')
  const isOther = email !== undefined && email !== own(last, 'email')
  return { ...last, ...(isOther ? { email_verified: undefined } : {}), ...userinfo }
}

/** No claim that anybody judges by has so many levels. */
const maxDepth = 16

/**
 * Claims as the database can keep them, which holds no NUL and no half of a surrogate pair. People
 * write some claims of theirs themselves: one that cannot be stored must not keep the rest of what
 * the provider says, a group that was left for one, from being heard.
 */
export function storable(claims: Claims): Claims {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [plain(name), storableValue(value, 1)]),
  )
}

function storableValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return plain(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > maxDepth) return null
  if (Array.isArray(value)) return value.map((one) => storableValue(one, depth + 1))
  const pairs = Object.entries(value)
  return Object.fromEntries(
    pairs.map(([name, one]) => [plain(name), storableValue(one, depth + 1)]),
  )
}

function plain(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}

function emailOf(claims: Claims): string {
  const email = own(claims, 'email')
  if (email === undefined) throw refusal('the provider sent no e-mail')
  const read = Email.safeParse(email)
  if (!read.success) throw refusal('the provider sent an e-mail that cannot be a name here')
  return read.data
}

function groupsOf(claims: Claims, name: string): { groups: string[]; warnings: string[] } {
  if (isOverage(claims, name)) {
    // Fail closed: which groups still stand is not known, so none is followed.
    return { groups: [], warnings: ['the provider has too many groups to name: none is followed'] }
  }
  const said = own(claims, name)
  if (said === undefined || said === null) return { groups: [], warnings: [] }
  const all: unknown[] = Array.isArray(said) ? said : [said]
  const groups = all.filter((group) => typeof group === 'string')
  const left = all.length - groups.length
  const warning = `${left} of the provider's groups are left out: they are no names`
  return { groups: [...new Set(groups)], warnings: left > 0 ? [warning] : [] }
}

/** Entra ID puts a reference in the place of more than 200 groups. */
function isOverage(claims: Claims, name: string): boolean {
  const elsewhere = own(claims, '_claim_names')
  const isNamed =
    typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, name)
  return own(claims, name) === undefined && (isNamed || own(claims, 'hasgroups') === true)
}

function holds(claim: unknown, value: string): boolean {
  const said: unknown[] = Array.isArray(claim) ? claim : [claim]
  return said.some((one) => one === value || (typeof one === 'boolean' && String(one) === value))
}

/** A claim of the token's own: `constructor` and its like are names too. */
function own(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

function refusal(sentence: string): Failure {
  return new Failure('unauthenticated', sentence)
}
