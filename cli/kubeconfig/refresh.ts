/** Brings the kubeconfig into line with what the server grants: which files, locked and whole. */
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import type { MyDestination } from '../../src/wire/destinations.ts'
import { Failure } from '../../src/wire/failure.ts'
import { followed, readIfThere, replaceFile } from '../disk/files.ts'
import { hinted } from '../hint.ts'
import { locked } from '../lock.ts'
import { configFolder, type Environment, homeFolder } from '../disk/places.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { edited, isEmptyChange, readConfig } from './document.ts'
import { ownCommand } from './entries.ts'
import { type Current, planned, type Plan } from './plan.ts'

export type Mine = { server: string; session: string; destinations: MyDestination[] }

/** kubectl holds its lock for as long as it takes to write. */
const lockWaitMs = 10_000

/**
 * Writes what is granted, and removes what was lost. A file that needs no change is not written, and
 * not locked either: it may be read-only.
 *
 * @throws {Failure} `invalid` when a kubeconfig cannot be read; it is then untouched.
 */
export async function refreshKubeconfig(
  env: Environment,
  mine: Mine,
  current: Current,
): Promise<Plan> {
  const paths = kubeconfigPaths(env)
  const target = targetOf(paths)
  const look = (): Plan => planFor(env, paths, target, mine, current)
  const seen = look()
  const changed = touched(paths, seen)
  if (changed.length === 0) return seen
  return lockedAll(lockedPaths(changed), () => {
    const plan = look()
    const open = touched(paths, plan).find((path) => !changed.includes(path))
    if (open) throw new Failure('conflict', `${open} was changed at the same moment: try again`)
    write(paths, plan)
    return plan
  })
}

/** Says what could not be written, and why. */
export function report(terminal: Terminal, { warnings }: Plan): void {
  for (const warning of warnings) terminal.err(`warning: ${warning}`)
}

/**
 * The list of KUBECONFIG, else kubectl's own place. A file that is named twice, by a link say, is one:
 * what is written to it by its first name would be removed by its second.
 */
export function kubeconfigPaths(env: Environment): string[] {
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '')
  const paths = listed.length > 0 ? listed : [join(homeFolder(env), '.kube', 'config')]
  const files = new Set<string>()
  return paths
    .map((path) => resolve(path))
    .filter((path) => {
      const isNew = !files.has(followed(path))
      files.add(followed(path))
      return isNew
    })
}

/** kubectl's rule for what is new: the first file that exists; where none does, the first. */
function targetOf(paths: string[]): number {
  return Math.max(
    0,
    paths.findIndex((path) => existsSync(path)),
  )
}

function planFor(
  env: Environment,
  paths: string[],
  target: number,
  mine: Mine,
  current: Current,
): Plan {
  const files = paths.map((path) => {
    const text = readIfThere(path) ?? ''
    return explained(path, () => readConfig(text))
  })
  const pin = {
    server: mine.server,
    session: mine.session,
    configFolder: env['INFRA_CONFIG_DIR'] ? configFolder(env) : null,
    own: ownCommand(process.execPath, process.argv[1]),
  }
  return planned(files, target, pin, mine.destinations, current)
}

function touched(paths: string[], { changes }: Plan): string[] {
  return paths.filter((_, at) => changes[at] !== undefined && !isEmptyChange(changes[at]))
}

function write(paths: string[], { changes }: Plan): void {
  for (const [at, path] of paths.entries()) {
    const change = changes[at]
    if (!change || isEmptyChange(change)) continue
    const text = readIfThere(path)
    // A file that its owner made read-only says that it is not to be changed; a rename would.
    if (text !== null) accessSync(path, constants.W_OK)
    replaceFile(
      path,
      explained(path, () => edited(text ?? '', change)),
    )
  }
}

/**
 * A file that a link leads to is locked under both names: kubectl knows the one that it was given,
 * and somebody else may have been given the other.
 */
function lockedPaths(paths: string[]): string[] {
  return [...new Set(paths.flatMap((path) => [path, followed(path)]))].toSorted()
}

/** Under kubectl's own locks, taken in one order by everybody, so that nobody waits in a ring. */
async function lockedAll<T>(paths: string[], work: () => T): Promise<T> {
  const [first, ...rest] = paths
  if (first === undefined) return work()
  try {
    return await locked(`${first}.lock`, lockWaitMs, () => lockedAll(rest, work))
  } catch (error) {
    if (!(error instanceof Failure) || !error.message.endsWith(`${first}.lock`)) throw error
    throw hinted(error, `when no kubectl is running, remove ${first}.lock`)
  }
}

function explained<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw hinted(
      new Failure(error.code, `${path} is left untouched: ${error.message}`, {
        cause: error.cause,
      }),
      'mend the file, or set KUBECONFIG to another',
    )
  }
}
