import assert from 'node:assert/strict'
import { test } from 'node:test'
import tls from 'node:tls'
import type { Access } from '../../src/wire/access.ts'
import { Tape } from '../far-ends.fixtures.ts'
import { accessTo, certificateFor, grantOf, group, requestOf, user, world } from '../fixtures.ts'

/** Access for ana by a role in a namespace, and by a group, of these names. */
function accessOf({ email = 'ana@example.com', role = 'view', name = 'ops', namespace = 'web' }) {
  return accessTo({
    users: [{ id: 'u-ana', email, groups: ['g'] }],
    groups: [{ id: 'g', name }],
    grants: [grantOf(user('u-ana'), role, { namespace }), grantOf(group('g'), 'edit')],
  })
}

// prettier-ignore
const unfit = ['', ' ', 'a ', ' a', 'a\r\nImpersonate-Group: system:masters', 'a\nb', 'a\rb', 'a\0', 'a\tb', '\xe4', '\u0100', '\u010d\u010a', '\u{1f600}', 'a\x7f', 'a\u2028b', '\xa0a']

const reserved = ['system:masters', 'SYSTEM:masters', 'system:', 'System:node:a']

async function refuses(t: Parameters<typeof world>[0], accesses: [string, Access][]) {
  const { refused, recorder, signer, grant } = await world(t)
  const wrong: unknown[] = []
  for (const [name, access] of accesses) {
    grant(access)
    const text = await refused(requestOf(signer.token('u-ana'), 'GET /', 'Connection: close'))
    if (!text.startsWith('HTTP/1.1 403 ')) wrong.push({ name, text })
  }
  assert.deepEqual(wrong, [])
  assert.equal(recorder.text, '')
}

test('D3: over the wire, a name that can not be one header lets nobody in', (t) =>
  refuses(t, [
    ...unfit.map((email): [string, Access] => [`e-mail ${email}`, accessOf({ email })]),
    ...unfit.slice(4).map((role): [string, Access] => [`role ${role}`, accessOf({ role })]),
    ...unfit.slice(4).map((name): [string, Access] => [`group ${name}`, accessOf({ name })]),
  ]))

test('D6: over the wire, a reserved name of any kind lets nobody in', (t) =>
  refuses(t, [
    ...reserved.map((email): [string, Access] => [`e-mail ${email}`, accessOf({ email })]),
    ...reserved.map((role): [string, Access] => [`role ${role}`, accessOf({ role })]),
    ...reserved.map((name): [string, Access] => [`group ${name}`, accessOf({ name })]),
  ]))

test('D3, D4: each group arrives in a line of its own, commas and all', async (t) => {
  const { refused, recorder, signer, grant } = await world(t)
  const names = [
    'a, b',
    'system',
    'a,system:masters',
    'x: y',
    '"q"',
    'infra:role:admin',
    '~',
    'a  b',
  ]
  grant(
    accessTo({
      users: [{ id: 'u-ana', email: 'ana@example.com', groups: names.map((_, at) => `g${at}`) }],
      groups: names.map((name, at) => ({ id: `g${at}`, name })),
      grants: names.map((_, at) => grantOf(group(`g${at}`), 'view')),
    }),
  )
  await refused(
    requestOf(signer.token('u-ana'), 'GET /', 'Accept: a', 'Accept: b', 'Connection: close'),
  )
  const lines = recorder.text.split('\r\n')
  assert.deepEqual(
    lines.filter((line) => line.startsWith('Impersonate-Group: ')),
    [...names.map((name) => `infra:group:${name}`), 'infra:role:view']
      .toSorted()
      .map((name) => `Impersonate-Group: ${name}`),
  )
  assert.deepEqual(
    lines.filter((line) => line.startsWith('Accept: ')),
    ['Accept: a', 'Accept: b'],
  )
})

test('D7: a client certificate is no identity', async (t) => {
  const { port, serving, signer, recorder } = await world(t)
  const own = await certificateFor('system.masters')
  for (const [line, status] of [
    ['X: y', 401],
    [`Authorization: Bearer ${signer.token('u-ana')}`, 200],
  ] as const) {
    const to = { host: '127.0.0.1', port, ca: serving.cert, servername: 'd-prod.test' }
    const socket = tls.connect({ ...to, ...own })
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    const caller = new Tape(socket)
    caller.send(`GET / HTTP/1.1\r\nHost: a\r\n${line}\r\nConnection: close\r\n\r\n`)
    assert.match(await caller.toEnd(), new RegExp(`^HTTP/1\\.1 ${status} `))
  }
  assert.equal(recorder.connections.length, 1)
  assert.match(recorder.text, /^Impersonate-User: ana@example\.com\r$/m)
})
