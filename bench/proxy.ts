/**
 * `bun bench/proxy.ts [--rounds N] [--only nginx,go,bun] [--steps small,dial]`: what the connector
 * costs beside other proxies, with TLS on both sides. Each round starts every proxy anew, and takes
 * each step with one after the other, so that whatever else the machine does is shared by all.
 * Prints the tables of `bench/README.md`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Figures, steps } from './proxy/steps.ts'
import { type Started, type Subject, subjects } from './proxy/subjects.ts'
import { goalsTable, type Measured, table } from './proxy/table.ts'
import { around } from './proxy/world.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    steps: { type: 'string', default: '' },
  },
})
const rounds = Number(values.rounds)
const isIn = (list: string) => (id: string) => list === '' || list.split(',').includes(id)
const wantedSteps = steps.filter(({ id }) => isIn(values.steps)(id))

const dir = mkdtempSync(join(tmpdir(), 'infra-bench-'))
const endings: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })]
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(130))

try {
  const world = await around(dir, endings)
  const notes: string[] = []
  const all = await subjects(world, isIn(values.only), (sentence) => notes.push(sentence))
  const measured = all.map(({ id, name }): Measured => ({ id, name, rounds: [] }))
  for (let round = 1; round <= rounds; round += 1) {
    process.stderr.write(`round ${round} of ${rounds}\n`)
    const taken = await oneRound(world.go, all)
    for (const [at, figures] of taken.entries()) measured[at]?.rounds.push(figures)
  }
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${rounds} rounds`
  console.log([machine, ...notes, table(measured), goalsTable(measured)].join('\n\n'))
  await end(0)
} catch (error) {
  console.error(error)
  await end(1)
}

async function oneRound(go: string, all: Subject[]): Promise<Figures[]> {
  const running: Started[] = []
  endings.push(() => Promise.all(running.map(({ stop }) => stop())))
  // One after the other: while several start on one processor, each waits for all.
  for (const { start } of all) running.push(await start())
  const figures = running.map((): Figures => ({}))
  for (const { id, measure } of wantedSteps) {
    process.stderr.write(`  ${id}\n`)
    for (const [at, proxy] of running.entries()) {
      figures[at] = { ...figures[at], ...(await measure(go, proxy)) }
    }
  }
  await endings.pop()?.()
  return figures
}

/** Takes down what is up, the newest first; the tethers take down the rest. */
async function end(code: number): Promise<never> {
  for (const ending of endings.splice(0).toReversed()) {
    await Promise.resolve(ending()).catch(() => {})
  }
  process.exit(code)
}
