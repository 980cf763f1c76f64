import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../wire/failure.ts'
import { judgeRedirectUri } from './redirect.ts'

const okta = { name: 'okta', loopbackHost: '127.0.0.1', anyLoopbackPort: false }

const refuses = (redirectUri: string, provider = okta) =>
  assert.throws(
    () => judgeRedirectUri(redirectUri, provider),
    (error) => error instanceof Failure && error.code === 'invalid',
    redirectUri,
  )

test('a redirect URI is the loopback address at an agreed port, of this provider', () => {
  judgeRedirectUri('http://127.0.0.1:8000/callback/okta', okta)
  judgeRedirectUri('http://127.0.0.1:18000/callback/okta', okta)
  judgeRedirectUri('http://localhost:8000/callback/okta', { ...okta, loopbackHost: 'localhost' })
  judgeRedirectUri('http://127.0.0.1:51234/callback/okta', { ...okta, anyLoopbackPort: true })
})

test('L1: any other port, host, path, scheme or provider is refused', () => {
  for (const redirectUri of [
    'http://127.0.0.1:8001/callback/okta',
    'http://127.0.0.1:08000/callback/okta',
    'http://127.0.0.1/callback/okta',
    'http://localhost:8000/callback/okta',
    'http://[::1]:8000/callback/okta',
    'http://127.0.0.2:8000/callback/okta',
    'https://127.0.0.1:8000/callback/okta',
    'HTTP://127.0.0.1:8000/callback/okta',
    'http://127.0.0.1:8000/callback/dex',
    'http://127.0.0.1:8000/callback/okta/',
    'http://127.0.0.1:8000/callback/okta?x=1',
    'http://127.0.0.1:8000/callback/okta#x',
    'http://127.0.0.1:8000/callback/../callback/okta',
    'http://127.0.0.1:8000//callback/okta',
    'http://127.0.0.1:8000@example.com/callback/okta',
    'http://example.com:8000/callback/okta',
    ' http://127.0.0.1:8000/callback/okta',
    'http://127.0.0.1:8000/callback/okta\n',
    '',
  ]) {
    refuses(redirectUri)
  }
  refuses('http://127.0.0.1:65536/callback/okta', { ...okta, anyLoopbackPort: true })
  refuses('http://127.0.0.1:0/callback/okta', { ...okta, anyLoopbackPort: true })
})
