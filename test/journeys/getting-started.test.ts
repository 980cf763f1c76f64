/** `docs/getting-started.md` works as it stands: its commands, run against a real API server. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import type { KubernetesObject } from '../cluster/api.ts'
import { writeKubeconfig } from '../cluster/kubeconfig.ts'
import { type Exit, productCommand, root, run, Running, until } from '../processes.ts'
import { freePort } from '../ports.ts'
import { Person } from './person.ts'
import { journey, type World } from './world.ts'

type Block = { who: string; script: string }

const namespaced = '/api/v1/namespaces/infra'
const deployment = '/apis/apps/v1/namespaces/infra/deployments/infra-connector'
const service = `${namespaced}/services/infra-connector`

test('getting started: from a fresh server to a colleague whose access is given and taken away', async (t) => {
  const world = await journey(t)
  const endpoint = `127.0.0.1:${await freePort()}`
  const machine = administratorsMachine(world)
  const ana = person(world, 'ana@example.com')
  t.after(() => removeDeployment(world))
  const blocks = blocksOf(readFileSync(join(root, 'docs', 'getting-started.md'), 'utf8'))
  assert.ok(blocks.length >= 8, 'the page has its commands')
  const [variables] = blocks
  let said = ''
  for (const { who, script } of blocks) {
    const shell = who === 'ana' ? ana : machine
    const exit = await typed(world, endpoint, shell, [variables?.script ?? '', script])
    assert.equal(exit.code, 0, `${script}\n${exit.stdout}${exit.stderr}`)
    said = exit.stdout + exit.stderr
    if (script.includes('deploy/connector.yaml')) await standInForThePod(world, endpoint)
    if (script.includes('users add')) passwordOf(machine, ana)
    if (who === 'ana') assert.match(exit.stdout, /kube-system/)
  }
  assert.match(said, /enforced/i)
  const refused = await ana.kubectl(['--context', 'infra:prod', 'get', 'namespaces'])
  assert.equal(refused.code, 1)
})

/** The blocks to be run: `sh`, or `sh NAME` for what somebody else types. */
function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```sh ?(\w*)\n([^]*?)^```$/gm)].map(([, who = '', script = '']) => ({
    who,
    script,
  }))
}

/** Runs lines of the page in a shell. The page's example addresses stand for those of this world. */
function typed(
  world: World,
  endpoint: string,
  { home, env }: Person,
  lines: string[],
): Promise<Exit> {
  const script = lines
    .join('\n')
    .replaceAll('INFRA_SERVER=https://infra.example.com', `INFRA_SERVER=${world.url}`)
    .replaceAll('ENDPOINT=cluster.example.com:443', `ENDPOINT=${endpoint}`)
  return run(['/bin/sh', '-euc', `cd "$0" && ${script.trim()}`, home], env)
}

/** A folder with `ca.crt` and `deploy/`, and `infra` and `kubectl` on the path; nothing else is set. */
function person(world: World, email: string): Person {
  const bin = join(world.dir, 'bin')
  mkdirSync(bin, { recursive: true })
  const quoted = productCommand().map((word) => `'${word}'`)
  writeFileSync(join(bin, 'infra'), `#!/bin/sh\nexec ${quoted.join(' ')} "$@"\n`, { mode: 0o755 })
  const made = new Person(world, email, {
    PATH: [bin, world.cluster.programs, process.env['PATH']].join(delimiter),
  })
  copyFileSync(world.caFile, join(made.home, 'ca.crt'))
  symlinkSync(join(root, 'deploy'), join(made.home, 'deploy'))
  return made
}

function administratorsMachine(world: World): Person {
  const machine = person(world, 'administrator')
  copyFileSync(world.cluster.adminKubeconfig, machine.kubeconfig)
  machine.env['INFRA_PASSWORD'] = 'correct horse battery staple'
  return machine
}

/** What Ana is told, and chooses. */
function passwordOf(machine: Person, ana: Person): void {
  const { password } = JSON.parse(readFileSync(join(machine.home, 'ana.json'), 'utf8'))
  Object.assign(ana.env, { INFRA_PASSWORD: password, INFRA_NEW_PASSWORD: `new ${password}` })
}

/**
 * No node here runs images: the product runs in the pod's place, with the settings, the files and
 * the account that the applied Deployment says, as the API server has them.
 */
async function standInForThePod(world: World, endpoint: string): Promise<void> {
  const { spec } = (await object(world, deployment)).spec.template
  const [container] = spec.containers
  const folder = join(world.dir, 'pod')
  for (const mount of container.volumeMounts) {
    const volume = spec.volumes.find(({ name }: { name: string }) => name === mount.name)
    await fillVolume(world, volume, join(folder, mount.mountPath))
  }
  const within = (value: string) => value.replace(/^\/(?=etc\/|var\/)/, `${folder}/`)
  const settings = await environmentOf(world, container)
  const env = Object.fromEntries(settings.map(([name, value]) => [name, within(value)]))
  const metrics = await freePort()
  const running = new Running([...productCommand(), ...container.args], {
    PATH: process.env['PATH'] ?? '',
    ...env,
    INFRA_CONNECTOR_LISTEN: endpoint,
    INFRA_METRICS_LISTEN: `127.0.0.1:${metrics}`,
    KUBECONFIG: await accountsKubeconfig(world, spec.serviceAccountName, folder),
  })
  world.opened(running)
  await until('the connector is ready', async () => {
    if (running.hasEnded) throw new Error(`connector ended:\n${running.stderr}`)
    const ready = await fetch(`http://127.0.0.1:${metrics}/readyz`).catch(() => null)
    return ready?.status === 200
  })
}

async function environmentOf(
  world: World,
  container: KubernetesObject,
): Promise<[string, string][]> {
  const from: [string, string][] = []
  for (const { configMapRef } of container['envFrom'] ?? []) {
    const { data } = await object(world, `${namespaced}/configmaps/${configMapRef.name}`)
    from.push(...Object.entries<string>(data))
  }
  const own = (container['env'] ?? []).flatMap(
    ({ name, value }: { name: string; value?: string }) =>
      value === undefined ? [] : [[name, value] as [string, string]],
  )
  return [...from, ...own]
}

async function fillVolume(world: World, volume: KubernetesObject, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const { secret, configMap } = volume
  if (secret) {
    const { data } = await object(world, `${namespaced}/secrets/${secret.secretName}`)
    for (const [name, text] of Object.entries(data as Record<string, string>)) {
      writeFileSync(join(folder, name), Buffer.from(text, 'base64'), { mode: 0o600 })
    }
  }
  if (configMap) {
    const { data } = await object(world, `${namespaced}/configmaps/${configMap.name}`)
    for (const [name, text] of Object.entries(data as Record<string, string>)) {
      writeFileSync(join(folder, name), text)
    }
  }
}

/** The rights of the account that the page's own `kubectl apply` made, and no others. */
async function accountsKubeconfig(world: World, account: string, folder: string): Promise<string> {
  const path = join(folder, 'kubeconfig')
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
  const token = `${namespaced}/serviceaccounts/${account}/token`
  const { status, body } = await world.cluster.api('POST', token, asked)
  assert.equal(status, 201)
  const { url, caPem } = world.cluster
  await writeKubeconfig({ path, url, caPem, user: account, credential: body.status })
  return path
}

async function object(world: World, path: string): Promise<KubernetesObject> {
  const { status, body } = await world.cluster.api('GET', path)
  assert.equal(status, 200, path)
  return body
}

/** The account stays: every other test's connector is of the same name. */
async function removeDeployment(world: World): Promise<void> {
  const own = [
    'secrets/infra-connector',
    'configmaps/infra-connector',
    'configmaps/infra-server-ca',
  ]
  const paths = [deployment, service, ...own.map((name) => `${namespaced}/${name}`)]
  for (const path of paths) await world.cluster.api('DELETE', path)
}
