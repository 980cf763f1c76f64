import assert from 'node:assert/strict'
import { test } from 'node:test'
import { account, accessTo, grantOf, group, requestOf, user, world } from '../fixtures.ts'

test('a request arrives as its user, in a head written anew', async (t) => {
  const { dial, recorder, signer, grant } = await world(t)
  const ops = { id: 'g-ops', name: 'ops, on call' }
  grant(
    accessTo({
      users: [{ id: 'u-ana', email: 'ana@example.com', groups: [ops.id] }],
      groups: [ops],
      grants: [
        grantOf(user('u-ana'), 'view'),
        grantOf(group(ops.id), 'edit', { namespace: 'web' }),
      ],
    }),
  )
  const caller = await dial()
  caller.send(
    requestOf(
      signer.token('u-ana'),
      'GET /api/v1/pods?limit=500',
      'Accept: application/json',
      'User-Agent: kubectl/v1.37.2',
      'Kubectl-Command: kubectl get',
      'Audit-ID: 00000000-0000-0000-0000-000000000000',
      'X-Forwarded-For: 203.0.113.9',
      'X-Real-Ip: 203.0.113.9',
      'X-HTTP-Method-Override: DELETE',
      'Cookie: a=b',
    ),
  )
  assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 OK\r\n/)
  const lines = recorder.text.split('\r\n')
  const audit = lines.find((line) => line.startsWith('Audit-ID: ')) ?? ''
  assert.match(audit, /^Audit-ID: [0-9a-f-]{36}$/)
  assert.doesNotMatch(audit, /00000000/)
  assert.deepEqual(lines, [
    'GET /api/v1/pods?limit=500 HTTP/1.1',
    lines[1],
    `Authorization: Bearer ${account}`,
    'Impersonate-User: ana@example.com',
    'Impersonate-Uid: u-ana',
    'Impersonate-Group: infra:group:ops, on call',
    'Impersonate-Group: infra:namespace:web:edit',
    'Impersonate-Group: infra:role:view',
    'Impersonate-Extra-access.infra%2fsession: s-u-ana',
    audit,
    'X-Forwarded-For: 127.0.0.1',
    'Accept: application/json',
    'User-Agent: kubectl/v1.37.2',
    'Kubectl-Command: kubectl get',
    '',
    '',
  ])
})
