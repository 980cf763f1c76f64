import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { grantGroup } from '../../src/wire/access.ts'
import { type Binding, type ClusterApi, isIntact } from './binding.ts'
import { Directory } from '../directory.ts'
import { plan, sorted, type Step } from './roles.ts'
import { access, cluster, everywhere, found, now, roles } from './fixtures.ts'

function words(steps: Step[]): string[] {
  return steps.map((step) => {
    if (step.kind === 'create') return `create ${step.wanted.namespace ?? '*'} ${step.wanted.role}`
    const { name, namespace } = step.binding.metadata
    return `${step.kind} ${namespace ?? '*'} ${name}`
  })
}

test('each role in use is wanted once for each place, and expired grants want nothing', () => {
  const directory = new Directory(
    access([
      ['view', null],
      ['view', null],
      ['view', 'web'],
      ['edit', null, '2025-12-31T23:59:59Z'],
    ]),
  )
  assert.deepEqual(directory.rolesInUse(now), [
    everywhere('view'),
    { role: 'view', namespace: 'web' },
  ])
})

test('a role or namespace that would leave its place in a path is never bound', () => {
  const names = ['a/b', '..', 'system:node', 'SYSTEM:masters', 'a b', '']
  const { usable, unusable } = sorted([
    ...names.map(everywhere),
    { role: 'view', namespace: '../kube-system' },
  ])
  assert.deepEqual(usable, [])
  assert.equal(unusable.length, 7)
})

test('what is as it should be is left alone', () => {
  const wanted = [everywhere('view'), { role: 'team:edit', namespace: 'web' }]
  assert.deepEqual(
    plan(
      'd1',
      wanted,
      wanted.map((each) => found(each)),
    ),
    [],
  )
})

test('what is no longer in use goes before what was edited is repaired and what is new is made', () => {
  const steps = plan(
    'd1',
    [everywhere('new'), everywhere('edited'), everywhere('kept')],
    [
      found(everywhere('edited'), ({ subjects }) => subjects.push({ kind: 'User', name: 'eve' })),
      found(everywhere('kept')),
      found({ role: 'gone', namespace: 'web' }),
    ],
  )
  assert.deepEqual(words(steps), [
    'delete web infra:d1:gone',
    'replace * infra:d1:edited',
    'create * new',
  ])
})

test('the same role in another namespace is another binding', () => {
  const steps = plan(
    'd1',
    [{ role: 'view', namespace: 'b' }],
    [found({ role: 'view', namespace: 'a' })],
  )
  assert.deepEqual(words(steps), ['delete a infra:d1:view', 'create b view'])
})

test('a binding that a hand has changed is not intact, whatever was changed', () => {
  const changes: ((binding: Binding) => void)[] = [
    (binding) => (binding.subjects = []),
    (binding) => binding.subjects.push({ kind: 'User', name: 'eve' }),
    ({ subjects: [subject] }) => subject && (subject.kind = 'User'),
    ({ subjects: [subject] }) => subject && (subject.name = 'infra:role:admin'),
    ({ roleRef }) => (roleRef.name = 'cluster-admin'),
    ({ roleRef }) => (roleRef.kind = 'Role'),
  ]
  assert.ok(isIntact(found(everywhere('view')), everywhere('view')))
  for (const change of changes) {
    assert.ok(!isIntact(found(everywhere('view'), change), everywhere('view')), String(change))
  }
})

const clusterRoleBindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'

test('the cluster is made to hold what Access has in use, and no more after a grant is gone', async (t) => {
  const { ask, objects } = await cluster(t)
  const { take, settled, complaints } = roles(t, ask, null)
  take(
    access([
      ['view', null],
      ['edit', 'web'],
    ]),
  )
  await settled()
  assert.deepEqual(
    [...objects.values()].map(({ metadata, roleRef, subjects }) => [
      metadata.name,
      metadata.namespace,
      metadata.labels,
      roleRef.name,
      subjects[0]?.name,
    ]),
    [
      ['infra:d1:view', undefined, labels('d1'), 'view', grantGroup(everywhere('view'))],
      ['infra:d1:edit', 'web', labels('d1'), 'edit', 'infra:namespace:web:edit'],
    ],
  )
  take(access([['view', null]]))
  await settled()
  assert.deepEqual([...objects.keys()], [`${clusterRoleBindings}/infra:d1:view`])
  assert.deepEqual(complaints, [])
})

test('an edited binding is repaired at the next run, without being asked', async (t) => {
  const { ask, objects, keep } = await cluster(t)
  const { take, settled } = roles(t, ask, null)
  take(access([['view', null]]))
  await settled()
  const edited = found(everywhere('view'), ({ roleRef }) => (roleRef.name = 'cluster-admin'))
  keep(clusterRoleBindings, edited)
  await settled()
  assert.equal(objects.get(`${clusterRoleBindings}/infra:d1:view`)?.roleRef.name, 'view')
})

test('what others made is never touched: other labels, another destination, another name', async (t) => {
  const { ask, objects, keep } = await cluster(t)
  const unlabelled = found(everywhere('view'), ({ metadata }) => (metadata.labels = {}))
  const foreign = found(everywhere('view'), () => {}, 'd2')
  const borrowed = found(everywhere('view'), ({ metadata }) => (metadata.name = 'theirs'))
  const relabelled = found(everywhere('edit'), ({ metadata }) => {
    metadata.labels['app.kubernetes.io/instance'] = 'd2'
  })
  for (const each of [unlabelled, foreign, borrowed, relabelled]) keep(clusterRoleBindings, each)
  const before = structuredClone([...objects])
  // Also where an answer ignores which labels were asked for.
  const all: ClusterApi = (method, path, body) => ask(method, path.replace(/\?.*/, ''), body)
  const { take, settled, complaints } = roles(t, all, null)
  take(access([['view', null]]))
  await settled()
  assert.deepEqual([...objects], before)
  assert.match(complaints.join(), /role view is not bound: .* not ours/)
})

test('one failure holds up no other, is logged once, and is made good when its cause is gone', async (t) => {
  const { ask, objects, refusals } = await cluster(t)
  refusals.set('POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings', 403)
  const { take, settled, complaints } = roles(t, ask, null)
  take(
    access([
      ['view', null],
      ['edit', 'web'],
      ['edit', 'nowhere'],
      ['absent', 'db'],
    ]),
  )
  await settled()
  await settled()
  assert.equal(objects.size, 2)
  refusals.clear()
  await settled()
  assert.equal(objects.size, 3)
  assert.equal(complaints.filter((each) => each.includes('bind role view: 403')).length, 1)
  assert.equal(
    complaints.filter((each) => each.includes('there is no namespace nowhere')).length,
    1,
  )
  take(access([['absent', 'db']]))
  await settled()
  assert.equal(complaints.filter((each) => each === 'there is no cluster role absent').length, 1)
})

test('without Access nothing is touched', async (t) => {
  const { ask, objects, calls, keep } = await cluster(t)
  keep(clusterRoleBindings, found(everywhere('view')))
  const { settled, take } = roles(t, ask, null)
  take(null)
  await settled()
  assert.equal(objects.size, 1)
  assert.deepEqual(calls, [])
})

function labels(id: string): Record<string, string> {
  return { 'app.kubernetes.io/managed-by': 'infra', 'app.kubernetes.io/instance': id }
}

test('what is wrong is told when it changes, and that it is right again', async (t) => {
  const { ask } = await cluster(t)
  const { take, settled, problems } = roles(t, ask, null)
  take(
    access([
      ['absent', 'web'],
      ['view', 'nowhere'],
    ]),
  )
  await settled()
  await settled()
  take(access([['view', 'web']]))
  await settled()
  assert.deepEqual(problems, [
    [
      'there is no namespace nowhere, so role view is not bound there',
      'there is no cluster role absent',
    ],
    [],
  ])
})

test('that nothing is wrong is told once as well, and by nobody who has not looked', async (t) => {
  const { ask } = await cluster(t)
  const { take, settled, kept, problems } = roles(t, ask, null)
  kept.changed()
  await settled()
  assert.deepEqual(problems, [])
  take(access([['view', 'web']]))
  await settled()
  take(access([['view', 'web']]))
  await settled()
  assert.deepEqual(problems, [[]])
})

test('a binding that somebody touched is looked at without waiting for the minute', async (t) => {
  const { ask, objects, keep } = await cluster(t)
  const answered = new EventEmitter()
  const telling: ClusterApi = async (...asked) => {
    const answer = await ask(...asked)
    answered.emit('answer')
    return answer
  }
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await once(answered, 'answer')
  }
  const { take, kept } = roles(t, telling, null, 3_600_000)
  take(access([['view', null]]))
  await until(() => objects.size === 1)
  keep(
    clusterRoleBindings,
    found(everywhere('view'), (binding) => (binding.subjects = [])),
  )
  for (const _ of [1, 2, 3]) kept.touched()
  await until(() => objects.get(`${clusterRoleBindings}/infra:d1:view`)?.subjects.length === 1)
})
