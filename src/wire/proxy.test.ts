import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from './failure.ts'
import { proxyFor } from './proxy.ts'

const proxy = 'http://proxy.example.com:3128'
const by = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)?.href ?? null

test('HTTPS_PROXY is for https and wss, HTTP_PROXY for the rest; the lower-case name wins', () => {
  const env = { HTTPS_PROXY: proxy, HTTP_PROXY: 'other.example.com:80', https_proxy: '' }
  assert.equal(by('https://infra.example.com', env), `${proxy}/`)
  assert.equal(by('wss://infra.example.com/api/link', env), `${proxy}/`)
  assert.equal(by('http://infra.example.com', env), 'http://other.example.com/')
  assert.equal(
    by('https://infra.example.com', { ...env, https_proxy: 'http://lower:1' }),
    'http://lower:1/',
  )
  assert.equal(by('https://infra.example.com', {}), null)
})

test('this machine is never reached by a proxy', () => {
  const hosts = ['localhost', 'a.localhost', '127.0.0.1', '127.8.8.8', '[::1]', 'LOCALHOST.']
  for (const host of hosts) assert.equal(by(`https://${host}:8443`, { HTTPS_PROXY: proxy }), null)
})

test('NO_PROXY names hosts, domains, addresses, ranges and ports, as kubectl reads it', () => {
  const cases: [list: string, url: string, isDirect: boolean][] = [
    ['*', 'https://any.example.com', true],
    ['example.com', 'https://example.com', true],
    ['example.com', 'https://INFRA.example.com', true],
    ['example.com', 'https://badexample.com', false],
    ['.example.com', 'https://infra.example.com', true],
    ['.example.com', 'https://example.com', false],
    ['*.example.com', 'https://infra.example.com', true],
    ['a.test, .svc 10.0.0.0/8', 'https://kubernetes.default.svc', true],
    ['a.test, .svc 10.0.0.0/8', 'https://10.96.0.1', true],
    ['10.0.0.0/8', 'https://11.96.0.1', false],
    ['10.96.0.1', 'https://10.96.0.1:6443', true],
    ['fd00::/8', 'https://[fd00::1]:6443', true],
    ['fd00::1', 'https://[fd00::1]', true],
    ['[fd00::1]:6443', 'https://[fd00::1]:6443', true],
    ['[fd00::1]:6443', 'https://[fd00::1]', false],
    ['example.com:8443', 'https://example.com:8443', true],
    ['example.com:8443', 'https://example.com', false],
    ['example.com:443', 'https://example.com', true],
    ['', 'https://example.com', false],
    [',. ,:443', 'https://example.com', false],
    ['10.0.0.0/99', 'https://10.0.0.1', false],
  ]
  for (const [list, url, isDirect] of cases) {
    const found = by(url, { HTTPS_PROXY: proxy, NO_PROXY: list })
    assert.equal(found === null, isDirect, `NO_PROXY=${list} for ${url}`)
  }
})

test('what is no proxy is refused without its value, which may hold a password', () => {
  for (const text of ['socks5://user:secret@proxy', 'http://user:secret@']) {
    assert.throws(
      () => by('https://infra.example.com', { HTTPS_PROXY: text }),
      (error) => error instanceof Failure && !error.message.includes('secret'),
    )
  }
})
