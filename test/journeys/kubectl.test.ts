/** Plain kubectl through the connector, as the user that the server says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { journey } from './world.ts'

test('kubectl works as the user, with the groups of the grants and no others', async (t) => {
  const world = await journey(t)
  await world.cluster.createPod({ namespace: 'kubectl', name: 'app', ticks: true })
  await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['groups', 'add', 'ops'])
  await world.admin.ok(['groups', 'add-user', 'ops', ana.email])
  await world.admin.ok(['grants', 'add', 'ops', 'prod', '--role', 'view', '--group'])
  await world.admin.ok(['grants', 'add', ana.email, 'prod.kubectl', '--role', 'edit', '--wait'])
  await ana.ok(['use', 'prod.kubectl'])

  await t.test('auth whoami says the e-mail, the grant groups and the id', async () => {
    const who = await ana.kubectlOk(['auth', 'whoami', '-o', 'json'])
    const { userInfo } = JSON.parse(who.stdout).status
    const users = await world.admin.json<{ id: string; email: string }[]>(['users', 'list'])
    assert.equal(userInfo.username, 'ana@example.com')
    assert.deepEqual(userInfo.groups.toSorted(), [
      'infra:group:ops',
      'infra:namespace:kubectl:edit',
      'infra:role:view',
      'system:authenticated',
    ])
    assert.equal(userInfo.uid, users.find(({ email }) => email === ana.email)?.id)
  })

  await t.test('get, create, apply, patch and delete', async () => {
    assert.match((await ana.kubectlOk(['get', 'pods', '-o', 'name'])).stdout, /pod\/app/)
    await ana.kubectlOk(['create', 'configmap', 'made', '--from-literal=a=1'])
    const manifest = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'applied' },
      data: { size: 'x'.repeat(300_000) },
    })
    await ana.kubectlOk(['apply', '--server-side', '-f', '-'], manifest)
    await ana.kubectlOk(['patch', 'configmap', 'made', '-p', '{"data":{"a":"2"}}'])
    const got = await ana.kubectlOk(['get', 'configmap', 'made', '-o', 'jsonpath={.data.a}'])
    assert.equal(got.stdout, '2')
    await ana.kubectlOk(['delete', 'configmap', 'made'])
  })

  await t.test('watch says what happens while it happens', async () => {
    const watch = ana.open(['get', 'configmaps', '--watch', '-o', 'name'])
    await watch.says(/configmap\/applied/)
    await ana.kubectlOk(['create', 'configmap', 'seen-by-watch'])
    await watch.says(/configmap\/seen-by-watch/)
    await watch.stop()
  })

  await t.test('logs -f follows', async () => {
    const logs = ana.open(['logs', '-f', 'app'])
    await logs.says(/tick \d+[^]*tick \d+[^]*tick \d+/)
    await logs.stop()
  })

  await t.test('exec passes stdin to its end and brings the exit code back', async () => {
    const echoed = await ana.kubectlOk(['exec', '-i', 'app', '--', 'cat'], 'through the door\n')
    assert.equal(echoed.stdout, 'through the door\n')
    const failed = await ana.kubectl([
      'exec',
      'app',
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 42',
    ])
    assert.equal(failed.code, 42)
    assert.equal(failed.stdout, 'out\n')
    assert.match(failed.stderr, /^err$/m)
  })

  await t.test('--as is refused with a sentence that says so', async () => {
    const exit = await ana.kubectl(['get', 'pods', '--as', 'system:admin'])
    assert.equal(exit.code, 1)
    assert.match(exit.stderr, /impersonat/i)
  })
})

test('api-resources works for a user who has one namespace only, and another namespace is out of reach', async (t) => {
  const world = await journey(t)
  await world.cluster.createPod({ namespace: 'one', name: 'app' })
  await world.cluster.createPod({ namespace: 'other', name: 'app' })
  await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod.one', '--role', 'edit', '--wait'])
  await ana.ok(['list'])
  const context = ['--context', 'infra:prod:one']

  assert.match((await ana.kubectlOk([...context, 'api-resources'])).stdout, /deployments/)
  assert.match((await ana.kubectlOk([...context, 'get', 'pods', '-o', 'name'])).stdout, /pod\/app/)
  for (const args of [
    ['get', 'pods', '-n', 'other'],
    ['exec', '-n', 'other', 'app', '--', 'true'],
    ['get', 'namespaces'],
  ]) {
    const refused = await ana.kubectl([...context, ...args])
    assert.equal(refused.code, 1, args.join(' '))
    assert.match(refused.stderr, /forbidden/i)
  }
})

test('a viewer may look and may not delete', async (t) => {
  const world = await journey(t)
  await world.cluster.createPod({ namespace: 'viewed', name: 'app' })
  await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])
  await ana.ok(['use', 'prod'])
  await ana.kubectlOk(['get', 'pods', '-n', 'viewed'])
  const refused = await ana.kubectl(['delete', 'pod', 'app', '-n', 'viewed'])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /forbidden/i)
  await world.cluster
    .api('GET', '/api/v1/namespaces/viewed/pods/app')
    .then(({ status }) => assert.equal(status, 200))
})
