/** What is around the proxies: an upstream, certificates, and a server of ours with somebody in it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { certificateFor } from '../../connector/fixtures.ts'
import { writeKubeconfig } from '../../test/cluster/kubeconfig.ts'
import { type Person } from '../../test/journeys/person.ts'
import { freePort } from '../../test/ports.ts'
import { World } from '../../test/journeys/world.ts'
import { goPrograms, loadCpu, started } from './machine.ts'

export type Files = { cert: string; key: string }

export type Around = {
  dir: string
  go: string
  /** Of the upstream, the proxies that are not ours, and its own CA. */
  tls: Files
  upstreamPort: number
  /** What brings the connectors to the upstream. */
  kubeconfig: string
  infra: World
  ana: Person
}

const email = 'ana@example.com'

/** Starts it all in `dir`; `endings` is told how it ends. */
export async function around(dir: string, endings: (() => unknown)[]): Promise<Around> {
  const go = goPrograms(dir)
  const { cert, key } = await certificateFor('127.0.0.1')
  const tls = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
  writeFileSync(tls.cert, cert)
  writeFileSync(tls.key, key, { mode: 0o600 })
  const upstreamPort = await freePort()
  const address = `127.0.0.1:${upstreamPort}`
  const upstream = started(go, loadCpu, [go, 'upstream', address, tls.cert, tls.key])
  endings.push(() => upstream.stop())
  const kubeconfig = join(dir, 'kubeconfig')
  const credential = { token: 'cluster-token' }
  const target = { url: `https://${address}`, caPem: cert, user: 'connector', credential }
  await writeKubeconfig({ path: kubeconfig, ...target })
  const infra = new World(dir, await freePort())
  endings.push(() => infra.stop())
  await infra.startServer()
  const ana = await infra.loggedIn(email)
  return { dir, go, tls, upstreamPort, kubeconfig, infra, ana }
}

/** A destination that Ana may look into; gives its connector's access key. */
export async function destination({ infra }: Around, name: string): Promise<string> {
  const added = ['destinations', 'add', name]
  const { accessKey } = await infra.admin.json<{ accessKey: string }>(added)
  await infra.admin.ok(['grants', 'add', email, name, '--role', 'view'])
  return accessKey
}

/** A token of Ana's, as kubectl's plugin gets it. */
export async function tokenFor({ ana }: Around, name: string): Promise<string> {
  const { stdout } = await ana.ok(['tokens', 'create', name])
  return (JSON.parse(stdout) as { status: { token: string } }).status.token
}
