/** What `infra` does to a kubeconfig, and what it leaves alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { productCommand } from '../processes.ts'
import { journey } from './world.ts'

const handWritten = `# my clusters, do not touch
apiVersion: v1
kind: Config
preferences: {}
current-context: home   # the small one
clusters:
  - name: home
    cluster: &home
      server: https://192.0.2.1:6443
      insecure-skip-tls-verify: true
contexts:
- context: {cluster: home, user: me}
  name: home
users:
# a comment between
- name: me
  user:
    token: "not-ours"
`

test('a blank kubeconfig is filled, a hand-written one keeps every line that is not ours', async (t) => {
  const world = await journey(t)
  await world.destination('prod')
  const ana = await world.person('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])

  ana.writeKubeconfig('')
  await ana.ok(['login'])
  assert.match(ana.readKubeconfig(), /infra:prod/)
  // kubectl is to start the very program that wrote the entry: the executable, or Node's bundle.
  for (const word of productCommand()) assert.ok(ana.readKubeconfig().includes(` ${word}\n`), word)
  assert.equal((await ana.kubectlOk(['config', 'current-context'])).stdout.trim(), 'infra:prod')

  ana.writeKubeconfig(handWritten)
  await ana.ok(['list'])
  const kept = ana.readKubeconfig()
  for (const line of handWritten.split('\n')) assert.ok(kept.includes(line), `lost: ${line}`)
  assert.equal((await ana.kubectlOk(['config', 'current-context'])).stdout.trim(), 'home')
  await ana.kubectlOk(['--context', 'infra:prod', 'get', 'namespaces'])

  await world.admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'view'])
  await ana.ok(['list'])
  assert.doesNotMatch(ana.readKubeconfig(), /infra:prod/)
  for (const line of handWritten.split('\n')) assert.ok(ana.readKubeconfig().includes(line))
})

test('two servers with a destination of the same name live in one kubeconfig, each with its own', async (t) => {
  const [first, second] = [await journey(t), await journey(t)]
  await first.destination('prod')
  await second.destination('prod')
  const ana = await first.person('ana@example.com')
  const other = await second.person('ana@example.com')
  await first.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])
  await second.admin.ok(['grants', 'add', other.email, 'prod', '--role', 'edit', '--wait'])

  await ana.ok(['login'])
  Object.assign(ana.env, other.env, {
    KUBECONFIG: ana.kubeconfig,
    INFRA_CONFIG_DIR: ana.env['INFRA_CONFIG_DIR'],
  })
  await ana.ok(['login'])

  const host = new URL(second.url).host
  const groupsBy = async (context: string) => {
    const who = await ana.kubectlOk(['--context', context, 'auth', 'whoami', '-o', 'json'])
    return JSON.parse(who.stdout).status.userInfo.groups as string[]
  }
  assert.ok((await groupsBy('infra:prod')).includes('infra:role:view'))
  assert.ok((await groupsBy(`infra:prod@${host}`)).includes('infra:role:edit'))

  // Losing the one leaves the other alone (security.md K2).
  await second.admin.ok(['grants', 'remove', other.email, 'prod', '--role', 'edit'])
  await ana.ok(['list'])
  assert.ok(!ana.readKubeconfig().includes(`infra:prod@${host}`))
  await ana.kubectlOk(['--context', 'infra:prod', 'get', 'namespaces'])
})
