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

/** The least number of times that each thing is looked at: a judge that looked at nothing has found nothing. */
type Wanted = Record<string, number>

/** On a slow machine less happens in a phase: then so many more are played before that is a failure. */
const morePhases = 6

/** Plays the phases, and has enough looked at; what is wrong by then is the test's failure. */
export async function play(
  t: TestContext,
  { seed, phases, wanted }: { seed: number; phases: Phase[]; wanted: Wanted },
): Promise<void> {
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
    for (let more = 0; more < morePhases && wrong.length === 0; more++) {
      if (missing(run.report, wanted).length === 0) break
      await run.phase({ what: 'storm', seconds: 6 })
    }
    assert.equal(wrong.length, 0, `${told()}${wrong.slice(0, 5).join('\n')}`)
    assert.deepEqual(missing(run.report, wanted), [], `${told()}not looked at often enough`)
    await ends.end()
    rmSync(historyPath, { force: true })
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    assert.fail(`${told()}${error instanceof Error ? error.stack : String(error)}`)
  }
}

function missing({ checks }: Run['report'], wanted: Wanted): string[] {
  return Object.entries(wanted)
    .filter(([what, least]) => (checks.get(what) ?? 0) < least)
    .map(([what, least]) => `${what}: ${checks.get(what) ?? 0} of ${least}`)
}
