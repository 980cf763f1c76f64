import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterApi } from './binding.ts'
import { problemsOf, readRights } from './rights.ts'

test('an account that may act as anybody is a problem, whatever else it may', () => {
  for (const constrained of [true, false, null]) {
    assert.match(problemsOf({ constrained, anybody: true }).join(), /anybody.*system:masters/)
  }
})

test('an account that may impersonate nobody is a problem; one that is as deployed is none', () => {
  assert.match(problemsOf({ constrained: false, anybody: false }).join(), /may not impersonate/)
  assert.deepEqual(problemsOf({ constrained: true, anybody: false }), [])
})

test('where the API server does not say, nothing is claimed', async () => {
  const ask: ClusterApi = async () => ({ status: 403, body: { message: 'no' } })
  assert.deepEqual(problemsOf(await readRights(ask)), [])
})

test('the plain verb is asked about in the core group, the constrained one in its own', async () => {
  const asked: unknown[] = []
  const ask: ClusterApi = async (_method, _path, body) => {
    asked.push(body)
    return { status: 201, body: { status: { allowed: asked.length === 1 } } }
  }
  assert.deepEqual(await readRights(ask), { constrained: true, anybody: false })
  const attributes = asked.map((each) => JSON.stringify(each))
  assert.match(
    attributes[0] ?? '',
    /"group":"authentication.k8s.io","verb":"impersonate:user-info"/,
  )
  assert.match(attributes[1] ?? '', /"group":"","verb":"impersonate"/)
})
