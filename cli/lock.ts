/**
 * A lock between processes: a file that only one can create. Its holder writes its name in, so that
 * a lock left by a process that died is taken over and nobody waits for the dead.
 */
import { closeSync, lstatSync, openSync, rmSync, writeSync } from 'node:fs'
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

function take(path: string): boolean {
  const file = createdFile(path)
  if (file === null) return false
  const holder = { pid: process.pid, started: startOf(process.pid), host: hostname() }
  try {
    writeSync(file, JSON.stringify(holder))
    return true
  } catch (error) {
    // On a full disk a lock without a holder would otherwise stay, and nobody could tell it is left.
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
}

/** Null where something is there already, be it a link that leads elsewhere: it is not followed. */
function createdFile(path: string): number | null {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (error) {
    if (isCode(error, 'EEXIST')) return null
    throw error
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
