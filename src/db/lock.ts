/**
 * One process at a time on a data directory: PGlite itself opens a directory that is in use without
 * a word, and both would write over each other.
 *
 * The lock is a file that names its holder. A holder that was killed leaves it behind, so it is
 * taken over when that process is gone. A process is told by its id and its start, since ids are
 * used again; where the holder lives in another container or on another machine neither says
 * anything here, and the file's age decides: a living holder touches it every few seconds.
 */
import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, statSync } from 'node:fs'
import { utimesSync, writeFileSync } from 'node:fs'
import { Failure } from '../wire/failure.ts'

const touchEveryMs = 5_000
const abandonedAfterMs = 20_000

export type Lock = { release(): void }

/** @throws {Failure} `conflict`, in one sentence, when somebody else holds the directory. */
export function lockDirectory(directory: string): Lock {
  const path = `${directory}/server.lock`
  const mine = JSON.stringify(holder(process.pid))
  for (let tries = 0; tries < 10; tries++) {
    if (create(path, mine)) return held(path, mine)
    const found = read(path)
    if (found === null) continue
    const refusal = whyHeld(found, path)
    if (refusal) throw new Failure('conflict', `${directory} is in use: ${refusal}`)
    setAside(path, found)
  }
  throw new Failure('conflict', `${directory} is in use: another server is starting on it`)
}

function held(path: string, mine: string): Lock {
  const touching = setInterval(() => touch(path), touchEveryMs)
  touching.unref()
  const release = (): void => {
    clearInterval(touching)
    if (read(path) === mine) rmSync(path, { force: true })
  }
  return { release }
}

/** Written apart and linked: the file appears with its content or not at all. */
function create(path: string, content: string): boolean {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  writeFileSync(draft, content, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Moves a dead holder's file away, unless another process was faster and holds it by now. */
function setAside(path: string, dead: string): void {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    renameSync(path, aside)
    if (readFileSync(aside, 'utf8') !== dead) linkSync(aside, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

type Holder = { pid: number; startedAt: string | null; realm: string | null }

function whyHeld(text: string, path: string): string | null {
  const found = parse(text)
  const { realm } = holder(process.pid)
  if (found && found.realm === realm) {
    if (!isRunning(found)) return null
    return `the server with process id ${found.pid} runs on it`
  }
  const age = Date.now() - statSync(path).mtimeMs
  if (age > abandonedAfterMs) return null
  return 'a server in another container used it seconds ago; if that has ended, try again shortly'
}

function isRunning({ pid, startedAt }: Holder): boolean {
  if (startedAt !== null) return startOf(pid) === startedAt
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function holder(pid: number): Holder {
  return { pid, startedAt: startOf(pid), realm: realm() }
}

/** Field 22 of /proc/PID/stat: the start in ticks since boot. Null where there is no /proc. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

/** Where a process id means the same process: one boot of one machine, one name space of ids. */
function realm(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return null
  }
}

function parse(text: string): Holder | null {
  try {
    const { pid, startedAt, realm: where } = JSON.parse(text) as Holder
    return { pid, startedAt, realm: where }
  } catch {
    return null
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function touch(path: string): void {
  const now = new Date()
  try {
    utimesSync(path, now, now)
  } catch {
    // The directory is going away; whoever uses it will say so.
  }
}
