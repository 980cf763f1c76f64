/**
 * Brings a checkout to where every other script can run: dependencies by the lock file, Bun among
 * them, and the prebuilt database snapshot. Runs on Node 20 and later with nothing installed, and
 * is silent when there is nothing to do.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
const stampFile = join(modules, '.infra-setup')

const [major] = process.versions.node.split('.').map(Number)
if ((major ?? 0) < 20) stop(`Node 20 or later is needed to set up, this is ${process.version}`)
if (process.platform !== 'linux') {
  console.error(`setup: made for Linux; ${process.platform} may work, and is not tested`)
}

const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== wanted) {
  // `npm ci` empties the folder first; behind a link that is another checkout's, in use there.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) {
    stop('node_modules is a link, and not installed by this lock file: set up where it leads')
  }
  console.error('setup: installing dependencies by the lock file')
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  writeFileSync(stampFile, wanted)
}

// Looked for here, although `snapshot.ts` would look as well: starting it costs more than all else.
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const snapshot = join(root, '.cache', `pglite-${dependencies['@electric-sql/pglite']}.tar.gz`)
if (!existsSync(snapshot)) {
  mkdirSync(join(root, '.cache'), { recursive: true })
  run(join(root, 'node_modules', '.bin', 'bun'), ['src/db/snapshot.ts'])
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', process.stderr, 'inherit'],
  })
  if (error) stop(`cannot run ${command}: ${error.message}`)
  if (status !== 0) stop(`${command} ${args.join(' ')} failed`)
}

function stop(sentence) {
  console.error(`error: ${sentence}`)
  process.exit(1)
}
