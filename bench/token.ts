/**
 * `bun bench/token.ts`: what `tokens create` costs the server, beside a bare Hono
 * route with one indexed select, on the same runtime, store and TLS, in turn. Prints the table of
 * `bench/README.md`.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { benchPostgres, type Directory, makeDirectory } from './directory.ts'
import * as h from './harness.ts'
import type { Asked } from './parts/asker.ts'

const rounds = Number(process.env['ROUNDS'] ?? 7)
const seconds = 3
const goal = 3
const connections = [1, 16]

type Side = { name: string; port: number; pid: number; request: string }
type Measured = { rate: number; cpuUs: number; p99: number }

await h.bench(6, async (scope) => {
  const postgres = await benchPostgres(scope)
  const directory = await makeDirectory(postgres, { destinations: 100, users: 100, grants: 1000 })
  const server = await h.startServer(scope, directory.url)
  const dir = join(scope.dir, 'bare')
  mkdirSync(dir)
  const bare = new h.Part(scope, 'bare.ts')
  const words = { access: '', beat: '' }
  const floor = await bare.ask<{ port: number; pid: number }>('open', {
    ...{ dir, store: directory.url, ...words },
  })
  const request = requestFor(directory)
  const sides: Side[] = [
    { name: 'Hono and one select', ...floor, request },
    { name: '`POST /api/tokens`', port: server.port, pid: server.pid, request },
  ]
  const asker = new h.Part(scope, 'asker.ts')
  for (const side of sides) await measure(asker, side, 16)
  const rows: string[][] = []
  for (const at of connections) {
    const all = sides.map((): Measured[] => [])
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, side] of sides.entries()) all[index]?.push(await measure(asker, side, at))
    }
    rows.push(...rowsOf(at, sides, all))
  }
  console.log(`${h.machine()}, ${rounds} rounds of ${seconds} s, PostgreSQL, Bun\n`)
  const head = [
    '',
    'connections',
    'requests/s',
    'p99 ms',
    'CPU µs a request',
    `beside Hono (goal ${goal})`,
  ]
  console.log(`${h.table(head, rows)}\n`)
})

function requestFor({ ana, destinations }: Directory): string {
  const body = JSON.stringify({ destination: destinations[0]?.name })
  const head = [
    'POST /api/tokens HTTP/1.1',
    'Host: 127.0.0.1',
    `Authorization: Bearer ${ana.credential}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

async function measure(asker: h.Part, side: Side, connections: number): Promise<Measured> {
  const { port, pid, request } = side
  const cpu = h.cpuMs(pid)
  const asked = await asker.ask<Asked>('ask', { port, request, connections, seconds })
  if (asked.failed > 0) throw new Error(`${asked.failed} of ${asked.count} were refused`)
  const cpuUs = ((h.cpuMs(pid) - cpu) * 1000) / asked.count
  return { rate: asked.count / asked.seconds, cpuUs, p99: h.quantile(asked.ms, 0.99) }
}

function rowsOf(at: number, sides: Side[], all: Measured[][]): string[][] {
  const medians = all.map((of) => ({
    rate: h.median(of.map(({ rate }) => rate)),
    cpuUs: h.median(of.map(({ cpuUs }) => cpuUs)),
    p99: h.median(of.map(({ p99 }) => p99)),
  }))
  const floor = medians[0]?.cpuUs ?? NaN
  return medians.map(({ rate, cpuUs, p99 }, index) => {
    const cells = [rate.toFixed(0), p99.toFixed(1), cpuUs.toFixed(0), (cpuUs / floor).toFixed(2)]
    return [sides[index]?.name ?? '', String(at), ...cells]
  })
}
