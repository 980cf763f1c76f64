/**
 * `bun bench/revocation.ts [links|connectors [COUNT ...]]`: from the commit of a loss of access until it is felt
 * everywhere that the one who lost it was let in. Prints the tables of `bench/README.md`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'
import { join } from 'node:path'
import { Client } from '../src/wire/client.ts'
import { fetchWith } from '../src/wire/dial.ts'
import type { Postgres } from '../test/postgres.ts'
import { churn } from './churn.ts'
import {
  benchPostgres,
  committedAt,
  type Directory,
  makeDirectory,
  type Size,
} from './directory.ts'
import * as h from './harness.ts'
import type { Arrival } from './parts/swarm.ts'

const changesPerMinute = 1000
const rounds = Number(process.env['ROUNDS'] ?? 9)
const small = { users: 100, grants: 1000 }
const large = { users: 10_000, grants: 100_000 }
const columns = ['p50 ms', 'p99', 'max', 'p99 from the request', 'bytes', 'CPU ms', 'goal p99']
const only = process.argv[2]
const counts = process.argv.slice(3).map(Number)
const firstPort = 21_000

/** Milliseconds since the commit, of each link or stream in each round. */
type Felt = { ms: number[]; asked: number[]; bytes: number[]; cpu: number[] }

await h.bench(15, async (scope) => {
  const postgres = await benchPostgres(scope)
  console.log(`${h.machine()}, ${rounds} rounds, ${changesPerMinute} other changes a minute\n`)
  if (only !== 'connectors') await links(scope, postgres)
  if (only !== 'links') await connectors(scope, postgres)
})

async function links(scope: h.Scope, postgres: Postgres): Promise<void> {
  const rows: string[][] = []
  for (const count of counts.length > 0 ? counts : [1000, 10_000]) {
    for (const people of [small, large]) {
      const size = { destinations: count, ...people }
      const felt = await scope.within((inner) => throughSwarm(inner, postgres, size))
      rows.push(rowOf(nameOf(size), felt.ours, count === 1000 ? '50' : '250'))
      rows.push(rowOf('a bare broadcast of the same bytes', felt.bare, ''))
    }
  }
  console.log(`${h.table(['links', ...columns], rows)}\n`)
}

/** The product's server and a bare one hold as many links, and take turns. */
async function throughSwarm(scope: h.Scope, postgres: Postgres, size: Size) {
  const directory = await makeDirectory(postgres, size)
  const server = await h.startServer(scope, directory.url)
  const { id: user } = directory.ana
  const keys = directory.destinations.map(({ accessKey }) => accessKey)
  h.say(`links: ${nameOf(size)}`)
  const swarm = new h.Part(scope, 'swarm.ts')
  await swarm.ask('open', { port: server.port, path: '/api/link', keys, user, atOnce: 64 })
  h.say('linked')
  const bare = new h.Part(scope, 'bare.ts')
  const floor = await bare.ask<{ port: number; pid: number }>('open', bareOf(scope))
  const other = new h.Part(scope, 'swarm.ts')
  await other.ask('open', { port: floor.port, path: '/', keys, user, atOnce: 64 })

  h.say('the bare ones, too')
  const ours = nothing()
  const bares = nothing()
  const changes = churn(server, directory, changesPerMinute)
  scope.later(() => changes.stop())
  for (let round = -2; round < rounds; round += 1) {
    const isCounted = round >= 0
    await h.pause(500)
    await revoke(server, directory, swarm, isCounted ? ours : nothing())
    await h.pause(500)
    h.say(`round ${round}: revoked`)
    await broadcast(bare, floor.pid, other, user, isCounted ? bares : nothing())
  }
  return { ours, bare: bares }
}

async function revoke(server: h.Server, { url, ana }: Directory, swarm: h.Part, felt: Felt) {
  await swarm.ask('forget')
  const [cpu, asked] = [h.cpuMs(server.pid), h.wall()]
  const { revision } = await server.admin.groups.removeUser('ops', ana.email)
  const arrivals = await swarm.ask<Arrival[]>('heard', { revision })
  if (arrivals.some(({ isGone }) => !isGone)) throw new Error('she still has access')
  felt.cpu.push(h.cpuMs(server.pid) - cpu)
  note(felt, arrivals, { asked, committed: await committedAt(url, revision) })
  await swarm.ask('forget')
  const back = await server.admin.groups.addUser('ops', ana.email)
  await swarm.ask('heard', { revision: back.revision })
}

/** A delta of the same size, to as many. */
async function broadcast(bare: h.Part, pid: number, swarm: h.Part, user: string, felt: Felt) {
  await swarm.ask('forget')
  const subjects = [{ kind: 'user', id: user }]
  const entries = { users: [], groups: [], grants: [] }
  const delta = { epoch: 'e'.repeat(24), since: 100_000, revision: 100_000, subjects, ...entries }
  const cpu = h.cpuMs(pid)
  const text = JSON.stringify({ kind: 'delta', delta })
  const at = await bare.ask<number>('broadcast', { text })
  const arrivals = await swarm.ask<Arrival[]>('heard', { revision: 100_000 })
  felt.cpu.push(h.cpuMs(pid) - cpu)
  note(felt, arrivals, { asked: at, committed: at })
}

function note(felt: Felt, arrivals: Arrival[], from: { asked: number; committed: number }): void {
  for (const { at, bytes } of arrivals) {
    felt.ms.push(at - from.committed)
    felt.asked.push(at - from.asked)
    felt.bytes.push(bytes)
  }
}

/** Real connectors with a live stream on each: until the caller's socket has ended. */
async function connectors(scope: h.Scope, postgres: Postgres): Promise<void> {
  const rows: string[][] = []
  const sizes = (counts.length > 0 ? counts : [1, 10, 100]).map((count) => ({
    destinations: count,
    ...small,
  }))
  const most = sizes.at(-1)?.destinations ?? 1
  for (const size of [...sizes, { destinations: most, ...large }]) {
    const felt = await scope.within((inner) => throughConnectors(inner, postgres, size))
    rows.push(rowOf(nameOf(size), felt, ''))
  }
  console.log(`${h.table(['connectors', ...columns], rows)}\n`)
}

async function throughConnectors(scope: h.Scope, postgres: Postgres, size: Size): Promise<Felt> {
  const directory = await makeDirectory(postgres, size)
  const server = await h.startServer(scope, directory.url)
  h.say(`connectors: ${nameOf(size)}`)
  const ports = await startConnectors(scope, server, directory)
  const ana = new Client(
    server.url,
    directory.ana.credential,
    fetchWith(readFileSync(server.caFile, 'utf8')),
  )
  const felt = nothing()
  const changes = churn(server, directory, changesPerMinute)
  scope.later(() => changes.stop())
  for (let round = -1; round < rounds; round += 1) {
    const streams = await h.each(directory.destinations, 10, async ({ name }) => {
      const { token } = await ana.me.createToken({ destination: name })
      return openStream(ports.get(name) ?? 0, token)
    })
    h.say('streams are open')
    await h.pause(500)
    const [cpu, asked] = [h.cpuMs(server.pid), h.wall()]
    const { revision } = await server.admin.groups.removeUser('ops', directory.ana.email)
    h.say('revoked')
    const ended = await Promise.all(streams.map((stream) => stream.ended))
    if (round >= 0) {
      felt.cpu.push(h.cpuMs(server.pid) - cpu)
      const committed = await committedAt(directory.url, revision)
      note(
        felt,
        ended.map((at) => ({ at, bytes: 0, isGone: true })),
        { asked, committed },
      )
    }
    await server.admin.groups.addUser('ops', directory.ana.email)
  }
  return felt
}

/** Up to ten in a process of their own each, more in ten processes. Gives the port of each. */
async function startConnectors(scope: h.Scope, server: h.Server, { destinations }: Directory) {
  const farEnd = new h.Part(scope, 'far-end.ts')
  const dir = join(scope.dir, 'far-end')
  mkdirSync(dir)
  const { port, ca } = await farEnd.ask<{ port: number; ca: string }>('open', { dir })
  const kubeconfig = join(scope.dir, 'kubeconfig')
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigFor(port, ca)))
  const ports = new Map<string, number>()
  const all: Record<string, string>[] = []
  for (const [at, { name, accessKey }] of destinations.entries()) {
    // Below the ports that connections of this machine are given.
    const own = firstPort + at
    ports.set(name, own)
    all.push({
      INFRA_SERVER: server.url,
      INFRA_SERVER_CA_FILE: server.caFile,
      INFRA_ACCESS_KEY: accessKey,
      INFRA_CONNECTOR_LISTEN: `127.0.0.1:${own}`,
      INFRA_CONNECTOR_ENDPOINT: `${name}:6443`,
      INFRA_CONNECTOR_DATA_DIR: join(scope.dir, name),
      KUBECONFIG: kubeconfig,
    })
  }
  const each = Math.ceil(all.length / 10)
  for (let at = 0; at < all.length; at += each) {
    const part = new h.Part(scope, 'connectors.ts', 'ignore')
    await part.ask('start', { env: all.slice(at, at + each) })
  }
  return ports
}

function kubeconfigFor(port: number, ca: string): object {
  const cluster = {
    server: `https://127.0.0.1:${port}`,
    'certificate-authority-data': Buffer.from(ca).toString('base64'),
  }
  return {
    'current-context': 'bench',
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    clusters: [{ name: 'bench', cluster }],
    users: [{ name: 'bench', user: { token: 'far-end' } }],
  }
}

/** A watch, once the first of it is there; `ended` is when its socket did. */
async function openStream(port: number, token: string): Promise<{ ended: Promise<number> }> {
  const until = h.wall() + 60_000
  while (h.wall() < until) {
    const opened = await tryStream(port, token)
    if (opened) return opened
    await h.pause(50)
  }
  throw new Error('a stream never opened')
}

function tryStream(port: number, token: string): Promise<{ ended: Promise<number> } | null> {
  const head = `GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`
  return new Promise((resolve) => {
    const ended = Promise.withResolvers<number>()
    const socket: TLSSocket = connect(
      { host: '127.0.0.1', port, rejectUnauthorized: false },
      () => {
        socket.write(head)
      },
    )
    let isOpen: boolean | null = null
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      if (isOpen !== null) return
      isOpen = bytes.toString('latin1', 0, 12) === 'HTTP/1.1 200'
      if (!isOpen) socket.destroy()
      resolve(isOpen ? { ended: ended.promise } : null)
    })
    socket.on('close', () => {
      ended.resolve(h.wall())
      resolve(null)
    })
  })
}

function nothing(): Felt {
  return { ms: [], asked: [], bytes: [], cpu: [] }
}

function nameOf({ destinations, users, grants }: Size): string {
  const words = [destinations, users, grants].map((n) => n.toLocaleString('en'))
  return `${words[0]}; ${words[1]} users, ${words[2]} grants`
}

function rowOf(name: string, { ms, asked, bytes, cpu }: Felt, goal: string): string[] {
  const one = (value: number) => value.toFixed(1)
  const shown = [h.median(ms), h.quantile(ms, 0.99), Math.max(...ms.slice(0, 1), h.quantile(ms, 1))]
  const more = [h.quantile(asked, 0.99), h.median(bytes), h.median(cpu)]
  return [
    name,
    ...[...shown, more[0] ?? NaN].map(one),
    ...more.slice(1).map((n) => n.toFixed(0)),
    goal,
  ]
}

function bareOf(scope: h.Scope) {
  const dir = join(scope.dir, 'bare')
  mkdirSync(dir)
  return {
    dir,
    store: null,
    access: '{"kind":"access","epoch":"e","revision":1}',
    beat: '{"kind":"beat"}',
  }
}
