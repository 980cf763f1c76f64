import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askedOf } from './asked.ts'

const asked = (line: string, upgrade: string | null = null) => {
  const [method = '', target = ''] = line.split(' ')
  const { verb, resource, namespace, name, isLong } = askedOf({ method, target }, upgrade)
  return [verb, resource, namespace, name, isLong]
}

test('a request is told in the words of RBAC', () => {
  const pods = '/api/v1/namespaces/web/pods'
  assert.deepEqual(asked(`GET ${pods}`), ['list', 'pods', 'web', null, false])
  assert.deepEqual(asked(`GET ${pods}/a`), ['get', 'pods', 'web', 'a', false])
  assert.deepEqual(asked(`POST ${pods}`), ['create', 'pods', 'web', null, false])
  assert.deepEqual(asked(`PUT ${pods}/a/status`), ['update', 'pods/status', 'web', 'a', false])
  assert.deepEqual(asked(`PATCH ${pods}/a`), ['patch', 'pods', 'web', 'a', false])
  assert.deepEqual(asked(`DELETE ${pods}/a`), ['delete', 'pods', 'web', 'a', false])
  assert.deepEqual(asked(`DELETE ${pods}`), ['deletecollection', 'pods', 'web', null, false])
  assert.deepEqual(asked('GET /api/v1/namespaces/web'), ['get', 'namespaces', null, 'web', false])
  assert.deepEqual(asked('GET /apis/apps/v1/deployments?limit=5'), [
    ...['list', 'deployments', null, null, false],
  ])
  assert.deepEqual(asked('GET /version'), ['list', null, null, null, false])
})

test('what stays open is told apart: upgrades, watches, logs that are followed', () => {
  const pods = '/api/v1/namespaces/web/pods'
  assert.deepEqual(asked(`GET ${pods}?watch=true`), ['watch', 'pods', 'web', null, true])
  assert.deepEqual(asked(`GET ${pods}?a=b&watch=1&c=d`), ['watch', 'pods', 'web', null, true])
  assert.deepEqual(asked(`GET ${pods}/a/log?follow=true`), ['get', 'pods/log', 'web', 'a', true])
  assert.deepEqual(asked(`GET ${pods}/a/log`), ['get', 'pods/log', 'web', 'a', false])
  assert.deepEqual(asked(`POST ${pods}/a/exec?command=sh`, 'SPDY/3.1'), [
    ...['create', 'pods/exec', 'web', 'a', true],
  ])
  assert.deepEqual(asked(`GET ${pods}?watch=false`), ['list', 'pods', 'web', null, false])
})

test('D10: a watch is told as one however it is spelled, as the API server reads it', () => {
  const pods = '/api/v1/namespaces/web/pods'
  const watch = ['watch', 'pods', 'web', null, true]
  for (const query of ['watch', 'watch=', 'watch=yes', 'watch=T', '%77atch=1', 'watch=1&watch=0']) {
    assert.deepEqual(asked(`GET ${pods}?${query}`), watch, query)
  }
  assert.deepEqual(asked('GET /api/v1/watch/namespaces/web/pods'), watch)
  assert.deepEqual(asked('GET /api/v1/namespaces/w%65b/%70ods?watch=1'), watch)
  for (const query of ['watch=0', 'watch=False', 'watch=0&watch=1', 'Watch=1', 'a=watch']) {
    assert.deepEqual(asked(`GET ${pods}?${query}`), ['list', 'pods', 'web', null, false], query)
  }
  assert.deepEqual(asked(`GET ${pods}/a%3Ab?watch=1`), ['get', 'pods', 'web', 'a:b', true])
  assert.deepEqual(asked(`GET ${pods}/a%ff`), ['get', 'pods', 'web', 'a%ff', false])
  assert.deepEqual(asked(`GET ${pods}/`), ['list', 'pods', 'web', null, false])
})

test('the query is never told, and a path not whole when it is long', () => {
  const { path } = askedOf({ method: 'GET', target: `/api/v1/pods/a/exec?command=secret` }, null)
  assert.equal(path, '/api/v1/pods/a/exec')
  assert.equal(askedOf({ method: 'GET', target: `/${'x'.repeat(5000)}` }, null).path.length, 300)
})
