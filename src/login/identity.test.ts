import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../wire/failure.ts'
import { claimsToIdentity, lacksClaims, type Rules, withUserinfo } from './identity.ts'

const rules: Rules = {
  issuer: 'https://id.example.com',
  groupsClaim: 'groups',
  allowedDomains: [],
  requiredClaim: null,
  vouchesForEmails: false,
}
const ana = { sub: 'a-1', email: 'Ana@Example.com', email_verified: true, groups: ['dev', 'ops'] }

const refuses = (claims: object, changed: Partial<Rules> = {}, sentence = /./) =>
  assert.throws(
    () => claimsToIdentity({ ...claims }, { ...rules, ...changed }),
    (error) =>
      error instanceof Failure && error.code === 'unauthenticated' && sentence.test(error.message),
    JSON.stringify(claims),
  )

const needs = (name: string, value: string) => ({ requiredClaim: { name, value } })

const groupsOf = (groups: unknown) => {
  const { identity, warnings } = claimsToIdentity({ ...ana, groups }, rules)
  return [identity.groups, warnings.length]
}

test('claims become an identity: issuer, subject, e-mail in lower case, groups', () => {
  assert.deepEqual(claimsToIdentity(ana, rules), {
    identity: {
      issuer: 'https://id.example.com',
      subject: 'a-1',
      email: 'ana@example.com',
      isEmailVerified: true,
      groups: ['dev', 'ops'],
    },
    warnings: [],
  })
})

test('L1: an e-mail that the provider does not call verified names nobody', () => {
  for (const said of [false, undefined, null, 'true', 1]) {
    refuses({ ...ana, email_verified: said }, {}, /is verified/)
  }
})

test('a provider that vouches for its e-mails is believed, and they still are not verified', () => {
  const { identity } = claimsToIdentity(
    { ...ana, email_verified: false },
    { ...rules, vouchesForEmails: true },
  )
  assert.equal(identity.isEmailVerified, false)
})

test('an e-mail that could not be a name here is refused', () => {
  for (const email of [
    undefined,
    null,
    7,
    '',
    'ana',
    'a@b@c',
    'system:masters@example.com',
    'ana @example.com',
    'ana@example.com\r\nImpersonate-Group: x',
    'an\u00e4@example.com',
    `${'a'.repeat(251)}@b.c`,
  ]) {
    refuses({ ...ana, email })
  }
})

test('a subject is 1 to 255 ASCII characters', () => {
  for (const sub of [undefined, 7, '', 'a\u0000b', 'ä', 'x'.repeat(256)]) refuses({ ...ana, sub })
})

test('only e-mails of an allowed domain log in, whole and in any case', () => {
  claimsToIdentity(ana, { ...rules, allowedDomains: ['other.org', 'example.com'] })
  for (const email of ['ana@sub.example.com', 'ana@badexample.com', 'ana@example.com.evil.org']) {
    refuses({ ...ana, email }, { allowedDomains: ['example.com'] }, /may not log in/)
  }
})

test('a required claim must have the value, or hold it where it is a list', () => {
  claimsToIdentity({ ...ana, hd: 'example.com' }, { ...rules, ...needs('hd', 'example.com') })
  claimsToIdentity({ ...ana, amr: ['pwd', 'mfa'] }, { ...rules, ...needs('amr', 'mfa') })
  claimsToIdentity({ ...ana, staff: true }, { ...rules, ...needs('staff', 'true') })
  refuses(ana, needs('hd', 'example.com'), /claim hd/)
  refuses({ ...ana, hd: 'example.com.evil' }, needs('hd', 'example.com'))
  refuses({ ...ana, amr: 'pwd mfa' }, needs('amr', 'mfa'))
  refuses(ana, needs('constructor', 'x'))
})

test('L1: an issuer at which anybody can have an account lets nobody in without a rule', () => {
  const google = { issuer: 'https://accounts.google.com' }
  refuses(ana, google, /anybody can have an account/)
  refuses(ana, { ...google, allowedDomains: ['example.com'], vouchesForEmails: true }, /vouch/)
  claimsToIdentity(ana, { ...rules, ...google, allowedDomains: ['example.com'] })
})

test('groups may be one string or a list; what is no string is left out with a warning', () => {
  assert.deepEqual(groupsOf('dev'), [['dev'], 0])
  assert.deepEqual(groupsOf(['dev', 'dev', 7, null, { a: 1 }]), [['dev'], 1])
  assert.deepEqual(groupsOf(undefined), [[], 0])
  assert.deepEqual(groupsOf({ dev: true }), [[], 1])
})

test('Entra ID naming too many groups to list follows none and warns', () => {
  const { groups: _groups, ...noGroups } = ana
  for (const marker of [{ _claim_names: { groups: 'src1' } }, { hasgroups: true }]) {
    const { identity, warnings } = claimsToIdentity({ ...noGroups, ...marker }, rules)
    assert.deepEqual(identity.groups, [])
    assert.match(warnings.join(), /too many groups/)
    assert.equal(lacksClaims({ ...noGroups, ...marker }, 'groups'), false)
  }
})

test('userinfo is asked only for what the ID token does not say', () => {
  assert.equal(lacksClaims(ana, 'groups'), false)
  assert.equal(lacksClaims(ana, 'roles'), true)
  assert.equal(lacksClaims({ ...ana, email_verified: undefined }, 'groups'), true)
})

test('L1: an e-mail and the word that it is verified come from one source', () => {
  const claims = { sub: 'a-1', email: 'boss@example.com', requiredByUs: 'x' }
  const userinfo = { sub: 'a-1', email: 'ana@example.com', email_verified: true, admin: true }
  assert.deepEqual(withUserinfo(claims, userinfo, 'groups'), {
    sub: 'a-1',
    email: 'ana@example.com',
    email_verified: true,
    requiredByUs: 'x',
  })
  const silent = { sub: 'a-1', email_verified: true }
  assert.deepEqual(withUserinfo(claims, silent, 'groups'), {
    ...claims,
    email_verified: undefined,
  })
  const whole = { ...ana, email_verified: false }
  assert.deepEqual(withUserinfo(whole, { ...userinfo, groups: ['admins'] }, 'groups'), whole)
})
