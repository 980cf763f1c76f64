/** What a revocation does not take back, so that nobody believes that it does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callApi } from '../cluster/api.ts'
import { isRefused } from './streams.ts'
import { journey } from './world.ts'

test('what was done before a revocation stays: a token made in the cluster, a binding, an object', async (t) => {
  const world = await journey(t)
  const { admin, cluster } = world
  await cluster.createPod({ namespace: 'undone', name: 'app' })
  await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await admin.ok(['grants', 'add', ana.email, 'prod.undone', '--role', 'admin', '--wait'])
  await ana.ok(['use', 'prod.undone'])
  await ana.kubectlOk(['create', 'serviceaccount', 'robot'])
  const binding = ['--clusterrole=view', '--serviceaccount=undone:robot']
  await ana.kubectlOk(['create', 'rolebinding', 'left-behind', ...binding])
  await ana.kubectlOk(['create', 'configmap', 'left-behind'])
  const { stdout: token } = await ana.kubectlOk(['create', 'token', 'robot'])

  await admin.ok(['grants', 'remove', ana.email, 'prod.undone', '--role', 'admin', '--wait'])
  await isRefused(ana, 'prod.undone')

  const found = await cluster.kubectlAdmin(['get', 'configmaps,rolebindings', '-n', 'undone'])
  assert.match(found.stdout, /configmap\/left-behind/)
  assert.match(found.stdout, /rolebinding\S*\/left-behind/)
  // By the API server's own door, where we have no say.
  const robot = { url: cluster.url, caPem: cluster.caPem, token: token.trim() }
  const past = await callApi(robot, 'GET', '/api/v1/namespaces/undone/configmaps/left-behind')
  assert.equal(past.status, 200, JSON.stringify(past.body))
})
