import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverUrl } from './server-url.ts'

test('a server has one spelling', () => {
  for (const text of [
    'infra.example.com',
    'https://INFRA.example.com/',
    'https://infra.example.com:443',
  ]) {
    assert.equal(serverUrl(text, {}), 'https://infra.example.com')
  }
  assert.equal(serverUrl('localhost:8443', {}), 'https://localhost:8443')
  assert.equal(serverUrl('https://example.com/infra/', {}), 'https://example.com/infra')
})

test('plain HTTP is for this machine, unless the environment says otherwise', () => {
  assert.equal(serverUrl('http://127.0.0.1:8080', {}), 'http://127.0.0.1:8080')
  assert.equal(serverUrl('http://[::1]:8080', {}), 'http://[::1]:8080')
  assert.throws(() => serverUrl('http://infra.example.com', {}), { code: 'invalid' })
  assert.throws(() => serverUrl('http://127.0.0.1.example.com', {}), { code: 'invalid' })
  assert.equal(
    serverUrl('http://infra.example.com', { INFRA_INSECURE_HTTP: 'true' }),
    'http://infra.example.com',
  )
})

test('what is no URL of a server is wrong usage', () => {
  for (const text of [
    'ftp://x',
    'https://',
    'a b',
    'https://user:pass@x',
    'https://x?y',
    'https://x#y',
    'file:///etc',
  ]) {
    assert.throws(() => serverUrl(text, {}), { name: 'Misuse' }, text)
  }
})
