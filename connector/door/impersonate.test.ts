import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identityLines } from './impersonate.ts'

const ana = { email: 'ana@example.com', userId: 'u1', sessionId: 's1', groups: ['infra:role:view'] }

test('a user is impersonated by name, id, session and a line for each group', () => {
  assert.equal(
    identityLines({ ...ana, groups: ['infra:group:a, b', 'infra:role:view'] }),
    'Impersonate-User: ana@example.com\r\n' +
      'Impersonate-Uid: u1\r\n' +
      'Impersonate-Group: infra:group:a, b\r\n' +
      'Impersonate-Group: infra:role:view\r\n' +
      'Impersonate-Extra-access.infra%2fsession: s1\r\n',
  )
})

test('a namespace may be called system', () => {
  const groups = ['infra:namespace:system:view', 'infra:role:my:system:role']
  assert.match(identityLines({ ...ana, groups }), /infra:namespace:system:view/)
})

// prettier-ignore
const reserved = [
  'system:masters', 'System:Masters', 'infra:role:system:node', 'infra:group:system:masters',
  'infra:namespace:web:system:controller', 'infra:group:SYSTEM:masters',
]

test('D6: reserved names never reach the API server', () => {
  for (const name of reserved) {
    assert.throws(() => identityLines({ ...ana, groups: [name] }), { status: 403 }, name)
  }
  for (const email of ['system:admin', 'SYSTEM:serviceaccount:kube-system:x']) {
    assert.throws(() => identityLines({ ...ana, email }), { status: 403 }, email)
  }
})

// prettier-ignore
const unfit = [
  '', ' ', ' ops', 'ops ', 'ops\r\nImpersonate-Group: system:masters', 'ops\n', 'ops\0', 'ops\t1',
  'öps', 'ops\u2028', 'ops\x7f',
]

test('D3: a name that can not be one header is refused', () => {
  for (const name of unfit) {
    const shown = JSON.stringify(name)
    assert.throws(() => identityLines({ ...ana, email: name }), { status: 403 }, shown)
    assert.throws(() => identityLines({ ...ana, groups: [name] }), { status: 403 }, shown)
  }
})

test('nobody is impersonated without a group', () => {
  assert.throws(() => identityLines({ ...ana, groups: [] }), { status: 403 })
})
