/** Requests by their grammar, some of them bent; several to a connection. */
import type { Case, Plan } from './case.ts'
import * as odd from './dictionary.ts'
import { damaged, pieces } from './mutation.ts'
import type { Random } from './random.ts'
import { tokens } from './tokens.ts'

type Parts = { line: string; fields: string[]; framing: string; body: string }

// prettier-ignore
const targets = [
  '/api/v1/pods', '/api/v1/namespaces/web/pods?limit=500', '/apis/apps/v1/deployments', '/version', '/',
  '/api/v1/namespaces/web/pods/a/log?follow=true&container=b', '/a%20b', '/a;b=c', "/~a!$&'()*+,=:@", '/api/v1/pods/',
  '/openapi/v3?hash=A%2FB', '/api/v1?fieldSelector=a%3Db,c!=d', '/healthz?verbose', '/x?a=/../b', '/api/v1/pods?watch=1&watch=0',
]
// prettier-ignore
const harmless = [
  'Accept: application/json', 'Accept: */*', 'Accept-Encoding: gzip', 'User-Agent: kubectl/v1.37.2 (linux/amd64)',
  'Content-Type: application/json', 'If-None-Match: "abc"', 'Kubectl-Command: kubectl get', 'Kubectl-Session: x', 'X-Unknown: a',
  'Connection: keep-alive', 'Cache-Control: no-cache', 'accept:application/json', 'Accept-Language:\t de ', 'Range: bytes=0-5',
  'Accept: a\r\nAccept: b', 'X-Real-Ip: 203.0.113.9', 'X-Forwarded-For: 203.0.113.9', 'Audit-ID: mine', 'Cookie: a=b',
]
// prettier-ignore
const upgrades = [
  ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: v5.channel.k8s.io'],
  ['Connection: keep-alive, Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io'],
]

export function requestCase(random: Random): Case {
  const users = random.once(3) ? (['u-ana', 'u-bo'] as const) : (['u-ana'] as const)
  const count = 1 + random.below(4)
  const isBent = random.once(2)
  let text = Array.from({ length: count }, () => {
    const parts = requestOf(tokens[random.pick(users)], random)
    return together(isBent && random.once(count) ? bent(parts, random) : parts)
  }).join('')
  if (random.once(4)) text = damaged(text, random)
  if (random.once(12)) text += random.pick([odd.hidden, 'GET /cut HTT', '\r\n', '\0\xff\xfe'])
  return {
    hostile: 'caller',
    sent: pieces(text, random),
    answered: [],
    closes: false,
    plan: planOf(random),
    ends: random.pick(['in quiet', 'in quiet', 'in quiet', 'at once', 'by reset']),
  }
}

export function planOf(random: Random): Plan {
  const answers = [
    'counted',
    'counted',
    'counted',
    'chunked',
    'chunked',
    'closing',
    'early',
  ] as const
  return { answer: random.pick(answers), switches: random.once(2) }
}

export function requestOf(token: string, random: Random): Parts {
  const fields = ['Host: d-prod.test', `Authorization: Bearer ${token}`]
  fields.push(...random.picks(harmless, random.below(4)))
  if (random.once(20)) fields.push('Connection: close')
  if (random.once(10)) return upgradeOf(fields, random)
  const method = random.pick([
    'GET',
    'GET',
    'GET',
    'POST',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'HEAD',
    'OPTIONS',
  ])
  const line = `${method} ${random.pick(targets)} HTTP/1.1`
  const bodies = { GET: 8, HEAD: 8, OPTIONS: 8, DELETE: 3, POST: 1, PUT: 1, PATCH: 1 }
  if (!random.once(bodies[method as keyof typeof bodies]))
    return { line, fields, framing: '', body: '' }
  if (random.once(6)) fields.push('Expect: 100-continue')
  if (random.once(2)) {
    const body = random.pick(odd.chunkedBodies)
    return { line, fields, framing: 'Transfer-Encoding: chunked', body }
  }
  const body = random.pick([
    '',
    '{}',
    '0\r\n\r\n',
    odd.hidden,
    '\0\x01\xff',
    'x'.repeat(random.below(400)),
  ])
  return { line, fields, framing: `Content-Length: ${body.length}`, body }
}

function upgradeOf(fields: string[], random: Random): Parts {
  const line = 'GET /api/v1/namespaces/web/pods/a/exec?command=sh HTTP/1.1'
  const lines = random.pick(upgrades)
  return {
    line,
    fields: [...fields, ...lines],
    framing: '',
    body: random.pick(['', '', '\0\x01', odd.hidden]),
  }
}

const bends: ((parts: Parts, random: Random) => Parts)[] = [
  (parts, random) => ({ ...parts, line: random.pick(odd.requestLines) }),
  (parts, random) => ({ ...parts, framing: random.pick(odd.framings) }),
  (parts, random) => ({
    ...parts,
    framing: random.pick(odd.framings),
    body: random.pick(odd.chunkedBodies) + odd.hidden,
  }),
  (parts, random) => withChunks(parts, random.pick(odd.oddChunkedBodies)),
  (parts, random) => withChunks(parts, random.pick(odd.oddChunkedBodies)),
  (parts, random) => withField(parts, random.pick(odd.identities), random),
  (parts, random) => withField(parts, random.pick(odd.oddFields), random),
  (parts, random) => withField(parts, cased(random.pick(odd.identities), random), random),
  (parts) => ({ ...parts, fields: parts.fields.filter((field) => !field.startsWith('Host')) }),
  (parts) => ({ ...parts, fields: parts.fields.filter((field) => !field.startsWith('Auth')) }),
  (parts, random) =>
    withField(
      parts,
      `Authorization: Bearer ${tokens[random.pick(['u-ana', 'u-bo'] as const)]}`,
      random,
    ),
]

function bent(parts: Parts, random: Random): Parts {
  return random.picks(bends, 1 + random.below(2)).reduce((made, bend) => bend(made, random), parts)
}

function withChunks(parts: Parts, body: string): Parts {
  return { ...parts, framing: 'Transfer-Encoding: chunked', body }
}

function withField(parts: Parts, field: string, random: Random): Parts {
  return {
    ...parts,
    fields: parts.fields.toSpliced(random.below(parts.fields.length + 1), 0, field),
  }
}

function cased(line: string, random: Random): string {
  return line.replaceAll(/[a-z]/gi, (letter) =>
    random.once(2) ? letter.toUpperCase() : letter.toLowerCase(),
  )
}

function together({ line, fields, framing, body }: Parts): string {
  const length = String(body.length)
  const lines = [line, ...fields, ...(framing ? [framing.replaceAll('{n}', length)] : [])]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
