/**
 * `npm run demo`: a server, a provider with three people, a real API server with a pod, and a
 * connector. Walks the story once, with every real command, what it printed and how long it took;
 * then stays up. `-- --exit` ends after the walk.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster } from '../cluster/cluster.ts'
import { freePort } from '../ports.ts'
import { World } from '../journeys/world.ts'
import { productCommand, root } from '../processes.ts'
import { clientFor, type LocalProvider, startProvider } from '../provider.ts'
import { say, Story, title } from './story.ts'

// The provider's library warns of what is deprecated in Node; that is not part of the story.
process.noDeprecation = true
const dir = mkdtempSync(join(tmpdir(), 'infra-demo-'))
const endings: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })]
let isEnding = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(130))

try {
  await walk()
  if (process.argv.includes('--exit')) await end(0)
} catch (error) {
  // What breaks while everything is being taken down is not the story's failure.
  if (!isEnding) {
    console.error(error)
    await end(1)
  }
}

async function walk(): Promise<void> {
  title('Building the one executable, dist/infra')
  const built = spawnSync(process.execPath, ['scripts/build.ts'], { cwd: root, stdio: 'inherit' })
  if (built.status !== 0) throw new Error('the build failed')

  const provider = await startProvider({ port: await portNear(5556), clients: [clientFor('acme')] })
  endings.push(() => provider.stop())
  const world = new World(dir, await portNear(8443), { env: { INFRA_INSECURE_PROVIDERS: 'true' } })
  endings.push(() => world.stop())
  await world.startServer()
  title('The server and an OIDC provider are up')
  say(`server    ${world.url}  (its own CA: ${world.caFile})`)
  say(`provider  ${provider.issuer}  (Ana: dev and ops, Ben: dev, Cleo: no group)`)

  title('Starting a real Kubernetes API server (built once, which takes some minutes)')
  const cluster = await startCluster({ dir: join(dir, 'cluster') })
  endings.push(() => cluster.stop())
  world.cluster = cluster
  await cluster.createPod({ namespace: 'web', name: 'app', ticks: true })
  say(`cluster   ${cluster.url}  with the pod web/app`)

  await story(world, provider)
  whatNext(world)
}

async function story(world: World, provider: LocalProvider): Promise<void> {
  const { admin } = world
  const ana = world.stranger('ana')
  const asAdmin = new Story('admin', admin)
  const asAna = new Story('ana', ana)

  title('An administrator makes the provider and the cluster known')
  const secretFile = join(dir, 'client-secret')
  writeFileSync(secretFile, provider.client.secret ?? '', { mode: 0o600 })
  await asAdmin.infra([
    ...['providers', 'add', 'acme', '--issuer', provider.issuer],
    ...['--client-id', provider.client.id, '--client-secret-file', secretFile],
  ])
  say(
    "admin$ infra destinations add prod     # prints the connector's key; the connector starts with it",
  )
  await world.destination('prod')
  await asAdmin.infra(['grants', 'add', 'acme/dev', 'prod', '--role', 'edit', '--group', '--wait'])

  title('Ana logs in: the provider sends the code to her CLI, her kubeconfig is filled')
  await asAna.loginByBrowser('acme', (url) => provider.login(url, 'Ana'))
  await asAna.infra(['list'])

  title('Plain kubectl, as the user that the server says')
  await asAna.kubectl(['auth', 'whoami'])
  await asAna.kubectl(['get', 'pods', '-n', 'web'])
  await asAna.kubectl(['exec', '-n', 'web', 'app', '--', 'sh', '-c', 'echo hello from the pod'])

  title('Ana has a shell open when her access is taken away')
  const shell = await asAna.openShell(['exec', '-i', '-n', 'web', 'app', '--', 'sh'])
  const removed = asAdmin.infra([
    ...['grants', 'remove', 'acme/dev', 'prod', '--role', 'edit', '--group', '--wait'],
  ])
  await shell.ends()
  await removed
  await asAna.refused(['get', 'pods', '-n', 'web'])
  await asAdmin.infra(['events'])

  title('Access given back, for you to try')
  await asAdmin.infra(['grants', 'add', 'acme/dev', 'prod', '--role', 'edit', '--group', '--wait'])
}

function whatNext(world: World): void {
  const [infra = ''] = productCommand()
  const { env } = world.stranger('you')
  const kubectl = world.cluster.kubectl
  title('Everything stays up. In another terminal:')
  say(`export KUBECONFIG=${env['KUBECONFIG']} INFRA_CONFIG_DIR=${env['INFRA_CONFIG_DIR']}`)
  say(`${infra} login ${world.url} --ca-file ${world.caFile} --provider acme   # choose Ana or Ben`)
  say(`${kubectl} exec -it -n web app -- sh`)
  say('')
  say('and, as the administrator, in a third one:')
  say(
    `export INFRA_SERVER=${world.url} INFRA_SERVER_CA_FILE=${world.caFile} INFRA_ACCESS_KEY=${world.adminKey}`,
  )
  say(`${infra} grants remove acme/dev prod --role edit --group --wait`)
  say('')
  say('Ctrl-C ends it all.')
}

/** The usual port, where it is free. */
async function portNear(usual: number): Promise<number> {
  const { createServer } = await import('node:net')
  const isFree = await new Promise<boolean>((resolve) => {
    const probe = createServer()
    probe.on('error', () => resolve(false))
    probe.listen(usual, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
  return isFree ? usual : freePort()
}

async function end(code: number): Promise<void> {
  if (isEnding) return
  isEnding = true
  for (const ending of endings.toReversed()) {
    try {
      await ending()
    } catch (error) {
      console.error(error)
    }
  }
  process.exit(code)
}
