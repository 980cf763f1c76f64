/**
 * `npm run build`: the one executable `dist/infra`, which is the CLI and, as `infra server` and
 * `infra connector`, the rest. Bun, the database, its snapshot and the migrations are inside: it
 * runs in an empty folder.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'dist', 'infra')
const draft = `${target}.draft`

mkdirSync(join(root, 'dist'), { recursive: true })
const { status } = spawnSync(
  join(root, 'node_modules', '.bin', 'bun'),
  [
    ...['build', '--compile', '--minify', '--bytecode', '--format=esm'],
    ...['--define', 'INFRA_EMBEDDED=true'],
    ...['--outfile', draft, join(root, 'cli', 'main.ts')],
  ],
  { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
)
if (status !== 0) process.exit(1)
// A name that is always whole: a test that runs the old one is not handed half of the new one.
renameSync(draft, target)
console.error(`dist/infra: ${Math.round(statSync(target).size / 1_000_000)} MB`)
