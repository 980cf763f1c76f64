/** The bounded runs: fixed seeds, real processes, and what was seen judged afterwards. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { root } from '../processes.ts'
import { endings } from './ends.ts'
import { type Phase, Run } from './run.ts'

const store = process.env['INFRA_TEST_DATABASE_URL'] ? 'postgres' : 'pglite'
const runtime = process.versions['bun'] === undefined ? 'node' : 'bun'
/** What is promised in two seconds: this machine may have much else to do. */
const tolerance = 15

/** Plays the phases until something is wrong; what is wrong is the test's failure. */
export async function play(t: TestContext, seed: number, phases: Phase[]): Promise<Run['report']> {
  const folder = join(root, '.cache', 'model')
  mkdirSync(folder, { recursive: true })
  const historyPath = join(folder, `test-${seed}-${store}-${runtime}.jsonl`)
  const lines: string[] = []
  const say = (line: string) => lines.push(`${Math.round(performance.now())} ms: ${line}`)
  const told = () => `seed ${seed}, the history is in ${historyPath}\n${lines.join('\n')}\n`
  // The last that was begun ends first, whatever the runner's order is.
  const ends = endings()
  t.after(() => ends.end())
  try {
    const run = await Run.start({ ends, seed, store, tolerance, historyPath, say })
    const { wrong } = run.report
    for (const phase of phases) if (wrong.length === 0) await run.phase(phase)
    assert.equal(wrong.length, 0, `${told()}${wrong.slice(0, 5).join('\n')}`)
    await ends.end()
    rmSync(historyPath, { force: true })
    return run.report
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    assert.fail(`${told()}${error instanceof Error ? error.stack : String(error)}`)
  }
}

/** A judge that looked at nothing has found nothing. */
export function wasLookedAt({ checks }: Run['report'], wanted: Record<string, number>): void {
  for (const [what, least] of Object.entries(wanted)) {
    assert.ok((checks.get(what) ?? 0) >= least, `${what}: ${checks.get(what)} times`)
  }
}
