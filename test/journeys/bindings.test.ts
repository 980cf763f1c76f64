/** The bindings in the cluster: kept, repaired, and what cannot be kept is said. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../processes.ts'
import { bindingFor, bindingName } from '../../connector/cluster/binding.ts'
import { journey, type World } from './world.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'

test('bindings edited, deleted, and lost with their namespace are there again; no other is touched', async (t) => {
  const world = await journey(t)
  const { cluster, admin } = world
  await cluster.createPod({ namespace: 'bound', name: 'app' })
  const prod = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view'])
  await admin.ok(['grants', 'add', ana.email, 'prod.bound', '--role', 'edit', '--wait'])
  const everywhere = `${rbac}/clusterrolebindings/${bindingName(prod.id, 'view')}`
  const here = `${rbac}/namespaces/bound/rolebindings/${bindingName(prod.id, 'edit')}`
  const neighbour = bindingFor('another-destination', { role: 'view', namespace: null })
  await cluster.api('POST', `${rbac}/clusterrolebindings`, neighbour)
  t.after(() => cluster.api('DELETE', `${rbac}/clusterrolebindings/${neighbour.metadata.name}`))
  const others = await otherBindings(world, neighbour.metadata.name)
  assert.ok(others.some((other) => other.startsWith(neighbour.metadata.name)))
  await isThere(world, everywhere)
  await isThere(world, here)

  await t.test('edited by hand', async () => {
    const { body } = await cluster.api('GET', everywhere)
    const subjects = [{ ...body.subjects[0], name: 'system:authenticated' }]
    const edited = await cluster.api('PUT', everywhere, { ...body, subjects })
    assert.equal(edited.status, 200)
    await until('it names the group of the grant again', async () => {
      const { body: now } = await cluster.api('GET', everywhere)
      return now.subjects?.[0]?.name === 'infra:role:view'
    })
  })

  await t.test('deleted by hand', async () => {
    const { body } = await cluster.api('GET', here)
    await cluster.api('DELETE', here)
    await until('it is made anew', async () => {
      const { status, body: now } = await cluster.api('GET', here)
      return status === 200 && now.metadata.uid !== body.metadata.uid
    })
  })

  await t.test(
    'its namespace deleted: said; made anew: bound again, and said no more',
    async () => {
      await cluster.api('DELETE', '/api/v1/namespaces/bound')
      const sentence = 'there is no namespace bound, so role edit is not bound there'
      await until('the server knows of it', async () => (await problems(world)).includes(sentence))
      const shown = await admin.ok(['destinations', 'show', 'prod'])
      assert.ok(shown.stdout.includes(sentence), shown.stdout)
      await cluster.createPod({ namespace: 'bound', name: 'app' })
      // A namespace says nothing of bindings, so this waits for the connector's next try.
      await isThere(world, here)
      await until('nothing is wrong', async () => (await problems(world)).length === 0)
      await ana.ok(['list'])
      await ana.kubectlOk(['--context', 'infra:prod:bound', 'get', 'secrets'])
    },
  )

  await t.test(
    'what it did not make is as it was, and gone with its grant is what it made',
    async () => {
      await admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'view', '--wait'])
      await until('its binding is gone', async () => {
        return (await cluster.api('GET', everywhere)).status === 404
      })
      await isThere(world, here)
      assert.deepEqual(await otherBindings(world, neighbour.metadata.name), others)
    },
  )
})

test('a role that is not there, and a name that is taken, are said and hold up no other', async (t) => {
  const world = await journey(t)
  const { cluster, admin } = world
  const prod = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  const taken = bindingFor(prod.id, { role: 'edit', namespace: null })
  const theirs = { ...taken, metadata: { name: taken.metadata.name }, subjects: [] }
  const made = await cluster.api('POST', `${rbac}/clusterrolebindings`, theirs)
  assert.equal(made.status, 201)
  t.after(() => cluster.api('DELETE', `${rbac}/clusterrolebindings/${taken.metadata.name}`))
  for (const role of ['deployer', 'edit', 'view']) {
    await admin.ok(['grants', 'add', ana.email, 'prod', '--role', role, '--wait'])
  }
  await isThere(world, `${rbac}/clusterrolebindings/${bindingName(prod.id, 'view')}`)
  await until('both are said', async () => {
    const said = (await problems(world)).join('\n')
    return /no cluster role deployer/.test(said) && /role edit is not bound/.test(said)
  })
  const { body } = await cluster.api('GET', `${rbac}/clusterrolebindings/${taken.metadata.name}`)
  assert.equal(body.subjects, undefined)
  assert.equal(body.metadata.uid, made.body.metadata.uid)

  await cluster.api('POST', `${rbac}/clusterroles`, { metadata: { name: 'deployer' }, rules: [] })
  t.after(() => cluster.api('DELETE', `${rbac}/clusterroles/deployer`))
  await admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait'])
  await until('nothing is wrong', async () => (await problems(world)).length === 0)
})

test('an account that may act as anybody is said, as long as it may', async (t) => {
  const world = await journey(t)
  const { cluster } = world
  const role = { apiGroups: [''], resources: ['users'], verbs: ['impersonate'] }
  const name = 'impersonates-anybody'
  const account = { kind: 'ServiceAccount', name: 'infra-connector', namespace: 'infra' }
  await world.destination('prod')
  assert.deepEqual(await problems(world), [])
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name }
  await cluster.api('POST', `${rbac}/clusterroles`, { metadata: { name }, rules: [role] })
  const binding = { metadata: { name }, roleRef, subjects: [account] }
  await cluster.api('POST', `${rbac}/clusterrolebindings`, binding)
  t.after(async () => {
    await cluster.api('DELETE', `${rbac}/clusterrolebindings/${name}`)
    await cluster.api('DELETE', `${rbac}/clusterroles/${name}`)
  })
  // Any change of Access is an occasion to look.
  await until('it is said', async () => {
    await world.admin.ok(['grants', 'add', world.admin.email, 'prod', '--role', 'view'])
    return (await problems(world)).some((problem) => /act as anybody/.test(problem))
  })
})

async function problems(world: World): Promise<string[]> {
  const shown = ['destinations', 'show', 'prod']
  return (await world.admin.json<{ problems: string[] }>(shown)).problems
}

async function isThere({ cluster }: World, path: string): Promise<void> {
  await until(`${path} is there`, async () => (await cluster.api('GET', path)).status === 200)
}

/** The cluster's own bindings and one of a neighbour's, as they stand. */
async function otherBindings({ cluster }: World, neighbour: string): Promise<string[]> {
  const lists = ['clusterrolebindings', 'rolebindings'].map(async (kind) => {
    const { body } = await cluster.api('GET', `${rbac}/${kind}`)
    return body.items as { metadata: { name: string; uid: string; resourceVersion: string } }[]
  })
  return (await Promise.all(lists))
    .flat()
    .filter(({ metadata: { name } }) => !name.startsWith('infra:') || name === neighbour)
    .map(({ metadata: { name, uid, resourceVersion } }) => `${name} ${uid} ${resourceVersion}`)
    .toSorted()
}
