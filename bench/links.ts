/**
 * `bun bench/links.ts [COUNT]`: what a link costs that says nothing but its pings, and how long it
 * takes until all that were cut are linked again. Prints the tables of `bench/README.md`.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { benchPostgres, makeDirectory } from './directory.ts'
import * as h from './harness.ts'

const count = Number(process.argv[2] ?? 10_000)
const idleSeconds = Number(process.env['IDLE_SECONDS'] ?? 30)
const size = { destinations: count, users: 100, grants: 1000 }
const goalKb = 15

type Held = { name: string; linkedMs: number; kb: number; cpu: number }

await h.bench(10, async (scope) => {
  const postgres = await benchPostgres(scope)
  const directory = await makeDirectory(postgres, size)
  const keys = directory.destinations.map(({ accessKey }) => accessKey)
  const swarm = new h.Part(scope, 'swarm.ts')
  const dir = join(scope.dir, 'bare')
  mkdirSync(dir)
  const bare = new h.Part(scope, 'bare.ts')
  const words = { access: '{"kind":"access","epoch":"e","revision":1}', beat: '{"kind":"beat"}' }
  const floor = await bare.ask<{ port: number; pid: number }>('open', {
    dir,
    store: null,
    ...words,
  })
  const server = await h.startServer(scope, directory.url)
  console.log(`${h.machine()}, ${count.toLocaleString('en')} links\n`)

  const held: Held[] = []
  const storms: string[][] = []
  const both = [
    { name: 'a bare `Bun.serve`', path: '/', ...floor },
    { name: 'the server', path: '/api/link', port: server.port, pid: server.pid },
  ]
  for (const { name, path, port, pid } of both) {
    const to = { port, path, keys, user: directory.ana.id }
    await h.pause(2000)
    const before = h.memoryKb(pid).now
    const opened = await swarm.ask<number[]>('open', { ...to, atOnce: 64 })
    h.say(`${name}: linked`)
    held.push(await hold(name, { pid, before, linkedMs: Math.max(...opened) }))
    await swarm.ask('close')
    h.say(`${name}: closed`)
    storms.push(await storm(name, pid, () => swarm.ask('open', { ...to, atOnce: count })))
    await swarm.ask('close')
  }
  console.log(`${heldTable(held)}\n\n${stormTable(storms)}\n`)
})

/** Idle but for pings: what it holds, and the CPU that goes into it. */
async function hold(
  name: string,
  { pid, before, linkedMs }: { pid: number; before: number; linkedMs: number },
): Promise<Held> {
  // What the opening took is freed, and the marks of the first beats are written.
  await h.pause(5000)
  const cpu = h.cpuMs(pid)
  await h.pause(idleSeconds * 1000)
  const used = h.cpuMs(pid) - cpu
  const kb = (h.memoryKb(pid).now - before) / count
  return { name, linkedMs, kb, cpu: used / (idleSeconds * 10) }
}

/** All dial at once: when each has its first beat. */
async function storm(name: string, pid: number, dial: () => Promise<number[]>): Promise<string[]> {
  const cpu = h.cpuMs(pid)
  const beats = await dial()
  const seconds = [h.median(beats), h.quantile(beats, 0.99), h.quantile(beats, 1)]
  const used = (h.cpuMs(pid) - cpu) / 1000
  const peak = h.memoryKb(pid).peak / 1024
  h.say(`${name}: back`)
  const cells = seconds.map((ms) => (ms / 1000).toFixed(1))
  return [name, ...cells, used.toFixed(1), peak.toFixed(0)]
}

function heldTable(held: Held[]): string {
  const rows = held.map(({ name, linkedMs, kb, cpu }) => {
    return [name, kb.toFixed(1), cpu.toFixed(1), (linkedMs / 1000).toFixed(1)]
  })
  return h.table(
    ['idle', `KB a link (goal ${goalKb})`, '% of a core', 's to link all, 64 at once'],
    rows,
  )
}

function stormTable(rows: string[][]): string {
  const head = ['all at once', 's to a beat: p50', 'p99', 'the last', 'CPU s', 'peak MB']
  return h.table(head, rows)
}
