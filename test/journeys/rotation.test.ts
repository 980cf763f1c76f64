/** What proves us to the API server, and it to us, is exchanged while requests run: nobody is cut. */
import assert from 'node:assert/strict'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../processes.ts'
import type { Person } from './person.ts'
import { goesOn, openStreams } from './streams.ts'
import { journey, type World } from './world.ts'

/** A file is read again within half a minute. */
const rotationMs = 120_000

test('a service account token that is exchanged under load is used without a restart, and cuts no stream', async (t) => {
  const world = await journey(t)
  const tokenFile = join(world.dir, 'token')
  const path = join(world.dir, 'by-file.kubeconfig')
  const KUBECONFIG = await world.cluster.connectorKubeconfig({ path, tokenFile })
  const { open, get, refused } = await used(world, 'prod', KUBECONFIG)

  // No token at all, so that whichever is used is seen by what comes of it.
  exchange(tokenFile, 'no-token-of-this-cluster')
  assert.notEqual((await refused()).trim(), '')
  await goesOn(world, open)
  await world.cluster.connectorKubeconfig({ path, tokenFile })
  await until('the next one is used', async () => (await get()) === null, rotationMs)
  await goesOn(world, open)
})

test('a CA of the API server that is exchanged under load is used for each new connection, and cuts no stream', async (t) => {
  const world = await journey(t)
  const caFile = join(world.dir, 'cluster-ca.crt')
  const KUBECONFIG = await byCaFile(world, caFile)
  const { open, get, refused } = await used(world, 'prod', KUBECONFIG)
  const right = readFileSync(caFile, 'utf8')

  // Another CA altogether: what is dialled by it is not believed to be the API server.
  const other = readFileSync(world.caFile, 'utf8')
  exchange(caFile, other)
  assert.match(await refused(), /the API server of this cluster can not be reached/)
  await goesOn(world, open)
  // As it is while a cluster goes from one CA to the next: both.
  exchange(caFile, `${other}${right}`)
  await until('the next one is used', async () => (await get()) === null, rotationMs)
  await goesOn(world, open)
})

/** A destination that is reached by this kubeconfig, with somebody's streams open in it. */
async function used(world: World, destination: string, KUBECONFIG: string) {
  await world.destination(destination, { env: { KUBECONFIG } })
  const ana: Person = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, destination, '--role', 'edit', '--wait'])
  const namespace = 'rotated'
  const open = await openStreams(world, ana, { destination, namespace })
  const where = ['--context', `infra:${destination}`, '--namespace', namespace]
  /** What kubectl complains of; null: of nothing. */
  const get = async (): Promise<string | null> => {
    const answer = await ana.kubectl([...where, 'get', 'configmaps'])
    return answer.code === 0 ? null : answer.stderr
  }
  assert.equal(await get(), null)
  const refused = async (): Promise<string> =>
    (await until('the file is read again', get, rotationMs)) ?? ''
  return { open, get, refused }
}

/** Whole or not at all, as a kubelet does it. */
function exchange(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** A kubeconfig of the connector whose CA stands in a file beside it. */
async function byCaFile(world: World, caFile: string): Promise<string> {
  const path = join(world.dir, 'by-ca-file.kubeconfig')
  const text = readFileSync(await world.cluster.connectorKubeconfig({ path }), 'utf8')
  const data = /"?certificate-authority-data"?: *"?([A-Za-z0-9+/=]+)"?/
  const [line = '', ca = ''] = data.exec(text) ?? []
  assert.notEqual(ca, '')
  exchange(caFile, Buffer.from(ca, 'base64').toString('utf8'))
  exchange(path, text.replace(line, `"certificate-authority": ${JSON.stringify(caFile)}`))
  return path
}
