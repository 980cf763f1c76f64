/** The service account's token is exchanged while requests run: the newest is used, nobody is cut. */
import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../processes.ts'
import { goesOn, openStreams } from './streams.ts'
import { journey } from './world.ts'

/** A file is read again within half a minute. */
const rotationMs = 120_000

test('a service account token that is exchanged under load is used without a restart, and cuts no stream', async (t) => {
  const world = await journey(t)
  const tokenFile = join(world.dir, 'token')
  const path = join(world.dir, 'by-file.kubeconfig')
  const KUBECONFIG = await world.cluster.connectorKubeconfig({ path, tokenFile })
  await world.destination('prod', { env: { KUBECONFIG } })
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const open = await openStreams(world, ana, { destination: 'prod', namespace: 'rotated' })
  const get = ['--context', 'infra:prod', '--namespace', 'rotated', 'get', 'configmaps']
  await ana.kubectlOk(get)

  // No token at all, so that whichever is used is seen by what comes of it.
  writeFileSync(`${tokenFile}.new`, 'no-token-of-this-cluster', { mode: 0o600 })
  renameSync(`${tokenFile}.new`, tokenFile)
  const refused = await until(
    'the file is read again',
    async () => {
      const answer = await ana.kubectl(get)
      return answer.code !== 0 && answer
    },
    rotationMs,
  )
  assert.notEqual(refused.stderr.trim(), '')
  await goesOn(world, open)
  await world.cluster.connectorKubeconfig({ path, tokenFile })
  await until('the next one is used', async () => (await ana.kubectl(get)).code === 0, rotationMs)
  await goesOn(world, open)
})
