import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOpenIssuer } from './issuers.ts'

test('L1: issuers at which anybody can have an account are known however they are written', () => {
  for (const issuer of [
    'https://accounts.google.com',
    'https://accounts.google.com/',
    'https://ACCOUNTS.google.com.',
    'https://accounts.google.com:443',
    'http://accounts.google.com',
    'https://login.microsoftonline.com/common',
    'https://login.microsoftonline.com/common/v2.0',
    'https://login.microsoftonline.com//Common/v2.0',
    'https://login.microsoftonline.com/organizations/v2.0',
    'https://login.microsoftonline.com/consumers/v2.0',
    'https://login.microsoftonline.com/{tenantid}/v2.0',
    'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0',
    'https://login.microsoftonline.com',
    'https://login.microsoftonline.com/%63ommon/v2.0',
    'https://login.microsoftonline.com/%zz',
    'https://github.com/login/oauth',
    'https://token.actions.githubusercontent.com',
    'https://gitlab.com',
  ]) {
    assert.equal(isOpenIssuer(issuer), true, issuer)
  }
})

test('issuers that an organisation runs for its own people are not open', () => {
  for (const issuer of [
    'https://example.okta.com',
    'https://keycloak.example.com/realms/staff',
    'https://login.microsoftonline.com/5b1d8a0e-2f6f-4a58-8a35-1d7a6f1f3d10/v2.0',
    'https://gitlab.example.com',
    'https://accounts.google.com.example.com',
    'http://127.0.0.1:4000',
    'https://constructor',
  ]) {
    assert.equal(isOpenIssuer(issuer), false, issuer)
  }
})
