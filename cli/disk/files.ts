/** Files as secrets need them: written whole or not at all, readable by their owner only. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { Failure } from '../../src/wire/failure.ts'
import { isCode } from './unknown.ts'

/** Far more than any kubeconfig has: what is larger is no file of ours or of kubectl's. */
const mostBytes = 64 * 1024 * 1024

/**
 * The text of a file, or null where there is none. A pipe or a device, which whoever may write
 * beside our files can put in their place, would never come to an end: it is not read.
 *
 * @throws {Failure} `invalid` when it is no file, or no text: what cannot be read to the byte could
 * not be written back to the byte either.
 */
export function readIfThere(path: string): string | null {
  const file = openIfThere(path)
  if (file === null) return null
  try {
    const about = fstatSync(file)
    if (!about.isFile()) throw new Failure('invalid', `${path} is not a regular file`)
    if (about.size > mostBytes) throw new Failure('invalid', `${path} is too large`)
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(file))
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new Failure('invalid', `${path} is not text in UTF-8`, { cause: error })
  } finally {
    closeSync(file)
  }
}

function openIfThere(path: string): number | null {
  try {
    // O_NONBLOCK: opening a pipe would otherwise wait for somebody to write into it.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
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
export function followed(path: string): string {
  let at = resolve(path)
  for (let hops = 0; hops < 40; hops++) {
    const entry = lstatSync(at, { throwIfNoEntry: false })
    if (!entry) return at
    // `..` in a link leads out of the folder that the system is in, not of the one that was named.
    const folder = realpathSync(dirname(at))
    if (!entry.isSymbolicLink()) return join(folder, basename(at))
    at = resolve(folder, readlinkSync(at))
  }
  throw new Failure('invalid', `${path} is a symbolic link that leads nowhere`)
}
