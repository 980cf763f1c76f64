/**
 * A lock between processes: a file that only one can create. Its holder writes its name in, so that
 * a lock left by a process that died is taken over and nobody waits for the dead.
 */
import { randomBytes } from 'node:crypto'
import { constants, copyFileSync, linkSync, lstatSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Failure } from '../src/wire/failure.ts'
import { privateFolder, readIfThere } from './disk/files.ts'
import { isAlive, startOf } from './disk/started.ts'
import { fieldOf, isCode, jsonOf } from './disk/unknown.ts'

const pollMs = 20
/** A take-over lasts microseconds; a mark of one this old was left by a process that died in it. */
const takeOverMs = 10_000

/**
 * Does `work` while holding the lock at `path`.
 *
 * @throws {Failure} `conflict` when the lock is not to be had within `waitMs`.
 */
export async function locked<T>(
  path: string,
  waitMs: number,
  work: () => T | Promise<T>,
): Promise<T> {
  privateFolder(dirname(path))
  const giveUpAt = performance.now() + waitMs
  while (!take(path)) {
    if (isLeft(path)) takeOver(path)
    else if (performance.now() >= giveUpAt) throw inTheWay(path)
    else await pause(pollMs)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

/**
 * The lock appears with its holder's name in it, or not at all: of one that a killed process or a
 * full disk left empty nobody could tell that it is left. What is there already, be it a link that
 * leads elsewhere, is not touched.
 */
function take(path: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })) return false
  const named = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const holder = { pid: process.pid, started: startOf(process.pid), host: hostname() }
  try {
    writeFileSync(named, JSON.stringify(holder), { flag: 'wx', mode: 0o600 })
    appear(named, path)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  } finally {
    rmSync(named, { force: true })
  }
}

function appear(named: string, path: string): void {
  try {
    linkSync(named, path)
  } catch (error) {
    // Some file systems have no links: there the name is written a moment after the lock.
    if (!isCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error
    copyFileSync(named, path, constants.COPYFILE_EXCL)
  }
}

/** Whether the holder is known to be dead. kubectl's locks are empty and unreadable: never known. */
function isLeft(path: string): boolean {
  const holder = holderOf(path)
  return holder !== null && holder.host === hostname() && !isAlive(holder.pid, holder.started)
}

function holderOf(path: string): { pid: number; started: string; host: string } | null {
  const said = jsonOf(legible(path))
  const [pid, started, host] = ['pid', 'started', 'host'].map((name) => fieldOf(said, name))
  if (typeof pid !== 'number' || typeof started !== 'string' || typeof host !== 'string')
    return null
  return { pid, started, host }
}

/** What stands in a lock; nothing where it cannot be read, or is no file of anybody's lock. */
function legible(path: string): string {
  try {
    return lstatSync(path).isFile() ? (readIfThere(path) ?? '') : ''
  } catch {
    return ''
  }
}

/**
 * Removes a dead holder's lock, under a mark of its own: two who both saw the dead one would
 * otherwise remove in turn, the second of them the lock that the first has just taken.
 */
function takeOver(path: string): void {
  const mark = `${path}.takeover`
  const old = lstatSync(mark, { throwIfNoEntry: false })
  if (old && Date.now() - old.mtimeMs > takeOverMs) rmSync(mark, { force: true })
  if (!take(mark)) return
  try {
    if (isLeft(path)) rmSync(path, { force: true })
  } finally {
    rmSync(mark, { force: true })
  }
}

function inTheWay(path: string): Failure {
  const holder = holderOf(path)
  const who = holder ? `process ${holder.pid} holds` : 'another process left or holds'
  return new Failure('conflict', `${who} the lock ${path}`)
}
