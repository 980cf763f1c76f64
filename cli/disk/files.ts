/** Files as secrets need them: written whole or not at all, readable by their owner only. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isCode } from './unknown.ts'

/** The text of a file, or null where there is none. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return null
    throw error
  }
}

/** Makes a folder, and those above it, for its owner only. One that exists stays as it is. */
export function privateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
}

/**
 * Replaces a file in one step: whoever reads it meanwhile, or after a crash, finds the old text or
 * the new one. A new file is 0600; an old one keeps its mode and its owner. A symlink stays, and
 * what it points to is replaced.
 */
export function replaceFile(path: string, text: string): void {
  const target = followed(path)
  privateFolder(dirname(target))
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`
  try {
    writeNew(temporary, text)
    keepModeAndOwner(target, temporary)
    renameSync(temporary, target)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

function writeNew(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(file, text)
    // Without it a power cut after the rename may leave an empty file under the good name.
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function keepModeAndOwner(old: string, fresh: string): void {
  const was = statSync(old, { throwIfNoEntry: false })
  if (!was) return
  chmodSync(fresh, was.mode & 0o7777)
  const now = statSync(fresh)
  // Under sudo the file would otherwise end up root's, and its owner locked out.
  if (now.uid !== was.uid || now.gid !== was.gid) chownSync(fresh, was.uid, was.gid)
}

/** Where a path leads in the end, also when the last link points to nothing yet. */
function followed(path: string): string {
  let at = resolve(path)
  for (let hops = 0; hops < 40; hops++) {
    const entry = lstatSync(at, { throwIfNoEntry: false })
    if (!entry?.isSymbolicLink()) return at
    at = resolve(dirname(at), readlinkSync(at))
  }
  throw new Error(`too many symbolic links at ${path}`)
}
