/** Paths that the door, the audit log and the API server might read differently. */
import { attack, type Family } from './attack.fixtures.ts'

// prettier-ignore
const odd = [
  'http://a/a', 'https://evil/s', 'HTTP://a/a', '//evil/s', '///a', 'a:443', '*', 'a', '?a', '.', '../a', '\\a', '#', '%2f', '/a//b', '/a//', '//',
  '/a/./b', '/a/../b', '/../a', '/..', '/.', '/a/..', '/a/.', '/a/%2e%2e/b', '/a/.%2e/b', '/a/%2E/b', '/%2e', '/a%2fb', '/a%2Fb', '/a/%2f/b',
  '/a%5cb', '/a%5C..%5Cb', '/a\\b', '/a\\..\\b', '/a%00', '/a%00.json', '/a%0d%0ab', '/a%0ab', '/a%09b', '/a%1fb', '/a%7Fb', '/a%', '/a%2', '/a%zz', '/a%%41',
  '/a%u002e', '/a#b', '/a?b#c', '/a"b', '/a<b', '/a>b', '/a^b', '/a`b', '/a{b}', '/a|b', '/a[b]', '/a\x7fb', '/\xe4', '/\xc3\xa4', '/a?\xe4', '/a?\x01', '/a?b\tc', '/a?b\x7f',
  '/a b', '/a?b c', '/a?b\0', '/a\tb', '/api/v1/namespaces/web/pods/../../../secrets', '/api/v1/namespaces/%2e%2e/secrets',
]

/** Each has one reading; whether it means anything, the API server says. */
// prettier-ignore
const plain = [
  '/', '/a/', '/A', '/api/V1/PODS', '/a;b=c/d', '/a;', '/a%3Bb', '/a%20b', '/a%25', '/a%252e%252e%252fb', '/a%41', '/a...b', '/...', '/.a', '/a..', '/a:b@c', "/a!$&'()*+,=b",
  '/a?', '/a??', '/a?b', '/a?b=c&b=d&B=e', '/a?watch=true&watch=false', '/a?b=%00%2e%2f', '/a?b=../..//', '/a?b=c;d=e', '/a?_method=DELETE', '/a?access_token=x', '/a?%', '/a?b={}|[]^`"<>\\',
  '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode', '/api/v1/namespaces/web/services/https:web:443/proxy/',
]

export const targets: Family = {
  title: 'D10: a path with more than one reading is refused',
  attacks: (ana, bo) =>
    odd.map((target) =>
      attack(JSON.stringify(target), ana.request(`GET ${target}`) + bo.hidden, 400),
    ),
}

// prettier-ignore
const overrides = [
  'X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE', 'X-Method-Override: DELETE', '_method: DELETE',
  'X-Original-URL: /b', 'X-Rewrite-URL: /b', 'X-Forwarded-Path: /b', 'X-Forwarded-Prefix: /b', 'X-Forwarded-Uri: /b',
  'X-Forwarded-Host: b', 'X-Forwarded-Proto: http', 'X-Host: b', 'Forwarded: host=b', 'Destination: /b', 'HTTP2-Settings: AAMA',
]

export const goodTargets: Family = {
  title:
    'D10: a path with one reading is passed on as it came, and no header changes it or its method',
  attacks: (ana) => [
    ...plain.map((target) =>
      attack(JSON.stringify(target), ana.request(`GET ${target}`), ana.passed(`GET ${target}`)),
    ),
    ...overrides.map((line) => attack(line, ana.get(line), ana.passed('GET /a'))),
  ],
}
