/**
 * The bounded model-based runs: fixed seeds, real processes, and what was seen judged afterwards
 * (README.md says how a longer one is had, and a seed again).
 */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { root } from '../processes.ts'
import { type Phase, Run } from './run.ts'

const store = process.env['INFRA_TEST_DATABASE_URL'] ? 'postgres' : 'pglite'
const runtime = process.versions['bun'] === undefined ? 'node' : 'bun'
/** What is promised in two seconds: this machine may have much else to do. */
const tolerance = 15

async function play(t: TestContext, seed: number, phases: Phase[]): Promise<Run['report']> {
  const folder = join(root, '.cache', 'model')
  mkdirSync(folder, { recursive: true })
  const historyPath = join(folder, `test-${seed}-${store}-${runtime}.jsonl`)
  const lines: string[] = []
  const say = (line: string) => lines.push(`${Math.round(performance.now())} ms: ${line}`)
  const told = () => `seed ${seed}, the history is in ${historyPath}\n${lines.join('\n')}\n`
  try {
    const run = await Run.start({ ends: t, seed, store, tolerance, historyPath, say })
    for (const phase of phases) await run.phase(phase)
    const { wrong } = run.report
    assert.equal(wrong.length, 0, `${told()}${wrong.slice(0, 5).join('\n')}`)
    t.after(() => rmSync(historyPath, { force: true }))
    return run.report
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    assert.fail(`${told()}${error instanceof Error ? error.stack : String(error)}`)
  }
}

function wasLookedAt({ checks }: Run['report'], wanted: Record<string, number>): void {
  for (const [what, least] of Object.entries(wanted)) {
    assert.ok((checks.get(what) ?? 0) >= least, `${what}: ${checks.get(what)} times`)
  }
}

test('whatever is changed and whatever breaks at once, nobody is let in or stays by what is over, and nobody else is cut', async (t) => {
  const report = await play(t, 1, [
    { what: 'storm', seconds: 22, longOutage: 'strict-1' },
    { what: 'calm', seconds: 3 },
    { what: 'replace', destination: 'strict' },
  ])
  wasLookedAt(report, { admissions: 20, lines: 100, cuts: 3, knocks: 40, changes: 40, settled: 3 })
  wasLookedAt(report, { receipts: 3 })
})

test('a database that went back: what stands is what stood then, and nothing else is open', async (t) => {
  const report = await play(t, 2, [{ what: 'restore', by: 'disk' }])
  wasLookedAt(report, { admissions: 10, lines: 20, knocks: 60, changes: 30, settled: 4 })
})
