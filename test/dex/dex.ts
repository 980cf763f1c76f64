/**
 * Dex, a second real provider: built once from its own sources like the cluster's programs, with an
 * etcd of its own. (With SQLite it hangs when it refreshes for a person who was removed.) Its people
 * stand in its password database, which is written by etcd's HTTP gateway, as an operator would by
 * Dex's own API.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { visit } from '../browser.ts'
import { builtProgram, clusterPrograms } from '../cluster/build.ts'
import { freePorts } from '../ports.ts'
import { Running, until } from '../processes.ts'
import { clientFor, type ClientOfProvider } from '../provider.ts'
import { secret } from '../secrets/record.ts'

export type Dex = {
  issuer: string
  client: ClientOfProvider
  /** Writes a person: made, or with other groups. */
  put(name: string, groups: string[]): Promise<void>
  remove(name: string): Promise<void>
  /** Plays the browser, and returns the URL that it is sent to at the end. */
  login(authorizationUrl: string, name: string): Promise<string>
}

const program = {
  name: 'dex',
  module: import.meta.dirname,
  package: 'github.com/dexidp/dex/cmd/dex',
}

/** bcrypt of `password`, which is what everybody has here. */
const hash = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'

export async function startDex(t: TestContext, providerName = 'dex'): Promise<Dex> {
  const dir = mkdtempSync(join(tmpdir(), 'infra-dex-'))
  const [etcdPort = 0, peerPort = 0, port = 0] = await freePorts(3)
  const etcdUrl = `http://127.0.0.1:${etcdPort}`
  const issuer = `http://127.0.0.1:${port}/dex`
  const client = clientFor(providerName)
  const etcd = await startEtcd(join(dir, 'etcd'), etcdUrl, peerPort)
  const config = join(dir, 'config.json')
  writeFileSync(config, JSON.stringify(configOf(issuer, client, etcdUrl)), { mode: 0o600 })
  const dex = new Running([await builtProgram(program), 'serve', config], environment())
  secret('client secret', client.secret)
  t.after(async () => {
    await recordRefreshTokens(etcdUrl)
    await dex.stop('SIGKILL')
    await etcd.stop('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })
  await until('dex answers', async () => {
    if (dex.hasEnded) throw new Error(`dex ended:\n${dex.stderr}`)
    return (await fetch(`${issuer}/healthz`).catch(() => null))?.ok
  })
  const write = (what: string, body: object) => writeEtcd(`${etcdUrl}/v3/kv/${what}`, body)
  return {
    ...{ issuer, client },
    put: (name, groups) => write('put', { key: keyOf(name), value: personOf(name, groups) }),
    remove: (name) => write('deleterange', { key: keyOf(name) }),
    login: (url, name) =>
      visit(url, new URL(issuer).origin, { login: emailOf(name), password: 'password' }),
  }
}

async function startEtcd(dataDir: string, url: string, peerPort: number): Promise<Running> {
  const peer = `http://127.0.0.1:${peerPort}`
  const etcd = new Running(
    [
      join(await clusterPrograms(), 'etcd'),
      ...[`--data-dir=${dataDir}`, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`],
      ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
      ...[`--initial-cluster=default=${peer}`, '--unsafe-no-fsync', '--log-level=warn'],
    ],
    environment(),
  )
  await until('etcd answers', async () => {
    if (etcd.hasEnded) throw new Error(`etcd ended:\n${etcd.stderr}`)
    return (await fetch(`${url}/health`).catch(() => null))?.ok
  })
  return etcd
}

function configOf(issuer: string, { id, secret, redirectUris }: ClientOfProvider, etcd: string) {
  return {
    issuer,
    storage: { type: 'etcd', config: { endpoints: [etcd] } },
    web: { http: new URL(issuer).host },
    enablePasswordDB: true,
    oauth2: { skipApprovalScreen: true },
    staticClients: [{ id, secret, name: 'infra', redirectURIs: redirectUris }],
  }
}

const emailOf = (name: string) => `${name.toLowerCase()}@example.com`
const base64 = (text: string) => Buffer.from(text).toString('base64')
const keyOf = (name: string) => base64(`password/${emailOf(name)}`)

function personOf(name: string, groups: string[]): string {
  // The same person keeps the id, or Dex holds them for somebody else.
  const userID = createHash('sha256').update(name).digest('hex').slice(0, 32)
  const person = { email: emailOf(name), hash: base64(hash), username: name, userID, groups }
  return base64(JSON.stringify(person))
}

async function writeEtcd(url: string, body: object): Promise<void> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`etcd answered ${response.status}: ${await response.text()}`)
}

/** What Dex has given and keeps: refresh tokens as they stand in its etcd. */
async function recordRefreshTokens(etcdUrl: string): Promise<void> {
  // All keys that begin so: `0` is the letter after `/`.
  const range = { key: base64('refresh_token/'), range_end: base64('refresh_token0') }
  const body = JSON.stringify(range)
  const response = await fetch(`${etcdUrl}/v3/kv/range`, { method: 'POST', body })
  const { kvs = [] } = (await response.json()) as { kvs?: { value: string }[] }
  for (const { value } of kvs) {
    const kept = JSON.parse(Buffer.from(value, 'base64').toString('utf8')) as Values
    secret('provider token', kept['token'])
    secret('provider token', kept['obsolete_token'])
  }
}

type Values = Record<string, unknown>

function environment(): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env
  return { PATH, HOME }
}
