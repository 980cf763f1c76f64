/**
 * `npm run build`: the one executable `dist/infra`, which is the CLI and, as `infra server` and
 * `infra connector`, the rest, with Bun, the database, its snapshot and the migrations inside; and
 * `dist/node/`, the same as bundles for Node. Both run wherever they are put.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const executable = join(dist, 'infra')
const bundles = join(dist, 'node')

mkdirSync(dist, { recursive: true })
buildExecutable()
buildBundles()

function buildExecutable(): void {
  const draft = `${executable}.draft`
  bunBuild(['--compile', '--bytecode', '--outfile', draft])
  // A name that is always whole: a test that runs the old one is not handed half of the new one.
  renameSync(draft, executable)
  console.error(`dist/infra: ${megabytes(statSync(executable).size)}`)
}

function buildBundles(): void {
  const draft = `${bundles}.draft`
  rmSync(draft, { recursive: true, force: true })
  bunBuild([
    ...['--target=node', '--outdir', draft],
    ...['--entry-naming', 'infra.mjs', '--chunk-naming', '[name]-[hash].mjs'],
  ])
  // Whatever package the folder is put into, this is what it is, and what it needs.
  const facts = { name: 'infra', type: 'module', bin: 'infra.mjs', engines: { node: '>=22' } }
  writeFileSync(join(draft, 'package.json'), `${JSON.stringify(facts, null, 2)}\n`)
  replaceFolder(draft, bundles)
  const sizes = readdirSync(bundles).map((name) => statSync(join(bundles, name)).size)
  console.error(`dist/node: ${megabytes(sizes.reduce((sum, size) => sum + size, 0))}`)
}

/** A folder cannot be renamed over another: the old one is out of the way for a moment. */
function replaceFolder(draft: string, place: string): void {
  const old = `${place}.old`
  rmSync(old, { recursive: true, force: true })
  renameIfThere(place, old)
  renameSync(draft, place)
  rmSync(old, { recursive: true, force: true })
}

function renameIfThere(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false })) renameSync(from, to)
}

/** `--splitting`: a chunk for each part loaded on demand, as kubectl waits for the first of them. */
function bunBuild(args: string[]): void {
  const { status } = spawnSync(
    join(root, 'node_modules', '.bin', 'bun'),
    [
      ...['build', '--minify', '--format=esm', '--splitting'],
      ...['--define', 'INFRA_EMBEDDED=true', ...args],
      join(root, 'cli', 'main.ts'),
    ],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  if (status !== 0) process.exit(1)
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_000_000)} MB`
}
