/** Answers as providers really give them, and what each says of a person. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answer, judgeGrant, judgeUserinfo, retryAfterSeconds } from './verdict.ts'

const now = new Date('2026-11-23T12:00:00Z')

function answer(status: number, body: string | object, retryAfter: string | null = null): Answer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { kind: 'answer', status, retryAfter, body: text }
}

// prettier-ignore
const grants: [string, Answer, string][] = [
  ['granted', answer(200, { access_token: 'a', token_type: 'bearer' }), 'granted'],
  ['Keycloak: disabled', answer(400, { error: 'invalid_grant', error_description: 'User disabled' }), 'refused invalid_grant sure'],
  ['Keycloak: removed', answer(400, { error: 'invalid_grant', error_description: 'Invalid refresh token' }), 'refused invalid_grant sure'],
  ['oidc-provider: disabled', answer(400, { error: 'invalid_grant', error_description: 'grant request is invalid' }), 'refused invalid_grant sure'],
  ['Dex: deleted', answer(500, { error: 'invalid_request' }), 'refused invalid_request unsure'],
  ['Dex: revoked or rotated', answer(400, { error: 'invalid_request', error_description: 'Refresh token is invalid or has already been claimed by another client.' }), 'refused invalid_request sure'],
  ['Entra: consent or password', answer(400, { error: 'interaction_required', error_codes: [50076] }), 'refused interaction_required sure'],
  ['Google: revoked', answer(400, { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' }), 'refused invalid_grant sure'],
  ['Auth0: blocked', answer(403, { error: 'access_denied', error_description: 'user is blocked' }), 'refused access_denied sure'],
  ['Auth0: reused', answer(403, { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' }), 'refused invalid_grant sure'],
  ['a word of its own', answer(400, { error: 'user_locked' }), 'refused user_locked sure'],
  ['an error with 200', answer(200, { error: 'invalid_grant' }), 'refused invalid_grant sure'],
  ['secret rotated', answer(401, { error: 'invalid_client' }), 'ours invalid_client'],
  ['secret rotated, 400', answer(400, { error: 'invalid_client' }), 'ours invalid_client'],
  ['secret rotated, no body', answer(401, ''), 'ours status 401'],
  ['client may not refresh', answer(400, { error: 'unauthorized_client' }), 'ours unauthorized_client'],
  ['scope taken away', answer(400, { error: 'invalid_scope' }), 'ours invalid_scope'],
  ['grant type taken away', answer(400, { error: 'unsupported_grant_type' }), 'ours unsupported_grant_type'],
  ['server_error', answer(500, { error: 'server_error' }), 'unknown'],
  ['server_error with 400', answer(400, { error: 'server_error' }), 'unknown'],
  ['temporarily_unavailable', answer(503, { error: 'temporarily_unavailable' }), 'unknown'],
  ['slow_down', answer(400, { error: 'slow_down' }), 'unknown'],
  ['plain 500', answer(500, 'Internal Server Error'), 'unknown'],
  ['Spring 500', answer(500, { status: 500, error: 'Internal Server Error', path: '/token' }), 'unknown'],
  ['Nest 404', answer(404, { statusCode: 404, message: 'Cannot POST /token', error: 'Not Found' }), 'unknown'],
  ['a framework 404', answer(404, { error: 'not_found' }), 'unknown'],
  ['a framework 500', answer(500, { error: 'internal_server_error' }), 'unknown'],
  ['Google API error', answer(503, { error: { code: 503, status: 'UNAVAILABLE' } }), 'unknown'],
  ['gateway 502', answer(502, '<html>bad gateway</html>'), 'unknown'],
  ['gateway 504', answer(504, '<html>timeout</html>'), 'unknown, may spend'],
  ['503 with Retry-After', answer(503, '', '30'), 'unknown, retry 30'],
  ['429', answer(429, '', '7'), 'unknown, retry 7'],
  ['429 that says invalid_grant', answer(429, { error: 'invalid_grant' }, '7'), 'unknown, retry 7'],
  ['a WAF', answer(403, '<html>are you human?</html>'), 'unknown'],
  ['a portal', answer(200, '<html>log in to the Wi-Fi</html>'), 'unknown, may spend'],
  ['a redirect', answer(302, ''), 'unknown'],
  ['refused connection', { kind: 'silence', why: 'ECONNREFUSED', wasSent: false }, 'unknown'],
  ['time-out', { kind: 'silence', why: 'it does not answer', wasSent: true }, 'unknown, may spend'],
]

test('a provider’s word about the person counts, whatever the status; troubles do not', () => {
  for (const [name, given, said] of grants) {
    assert.equal(inWords(judgeGrant(given, now)), said, name)
  }
})

// prettier-ignore
const userinfos: [string, Answer, string][] = [
  ['claims', answer(200, { sub: 'a' }), 'granted'],
  ['signed claims', answer(200, 'eyJ.eyJ.sig'), 'granted'],
  ['Keycloak: gone, empty', answer(401, ''), 'refused status 401 sure'],
  ['oidc-provider: gone', answer(401, { error: 'invalid_token', error_description: 'invalid token provided' }), 'refused invalid_token sure'],
  ['scope taken away', answer(403, { error: 'insufficient_scope' }), 'ours insufficient_scope'],
  ['a WAF', answer(403, '<html></html>'), 'unknown'],
  ['500', answer(500, ''), 'unknown'],
  ['429', answer(429, '', 'Mon, 23 Nov 2026 12:01:00 GMT'), 'unknown, retry 60'],
]

test('userinfo that does not accept the access token is a word, its troubles are none', () => {
  for (const [name, given, said] of userinfos) {
    assert.equal(inWords(judgeUserinfo(given, now)), said, name)
  }
})

test('Retry-After is seconds or a date, a day at most, and nothing where it is nonsense', () => {
  assert.equal(retryAfterSeconds('120', now), 120)
  assert.equal(retryAfterSeconds('Mon, 23 Nov 2026 12:00:30 GMT', now), 30)
  assert.equal(retryAfterSeconds('Mon, 23 Nov 2026 11:00:00 GMT', now), 0)
  assert.equal(retryAfterSeconds('99999999', now), 86_400)
  assert.equal(retryAfterSeconds('soon', now), null)
  assert.equal(retryAfterSeconds(null, now), null)
})

function inWords(verdict: ReturnType<typeof judgeGrant>): string {
  switch (verdict.kind) {
    case 'granted':
      return 'granted'
    case 'refused':
      return `refused ${verdict.word} ${verdict.isSure ? 'sure' : 'unsure'}`
    case 'ours':
      return `ours ${verdict.word}`
    case 'unknown': {
      const retry = verdict.retryAfterSeconds === null ? '' : `, retry ${verdict.retryAfterSeconds}`
      return `unknown${retry}${verdict.maySpend ? ', may spend' : ''}`
    }
  }
}
