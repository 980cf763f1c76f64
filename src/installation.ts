/** Which database this is, and that the sealing key is the one that belongs to it. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { newId } from './credential.ts'
import type { Database } from './db/database.ts'
import { installation } from './db/schema.ts'
import { Sealer } from './seal.ts'
import { Failure } from './wire/failure.ts'

const keyBytes = 32
const purpose = 'installation'
const checkValue = 'infra'

/**
 * The sealer of the key in `file`, or in the data directory, where one is made at the first start.
 * A file that was named must be there, as must any key that opens what is sealed already: one made
 * in its place would open nothing.
 */
export function openSealer(
  dataDir: string,
  file: string | null,
  absent: 'is made' | 'must be there' = 'is made',
): Sealer {
  const path = file ?? join(dataDir, 'sealing.key')
  if (file === null && absent === 'is made' && !existsSync(path)) makeKey(path)
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim()
  } catch (cause) {
    throw new Failure('invalid', `the sealing key cannot be read from ${path}`, { cause })
  }
  const key = Buffer.from(text, 'base64')
  if (key.length !== keyBytes || !/^[A-Za-z0-9+/_-]+=*$/.test(text)) {
    throw new Failure('invalid', `the sealing key in ${path} is not 32 bytes in base64`)
  }
  return new Sealer(key)
}

/** Linked when it is whole: of two processes that start at once, one makes the key for both. */
function makeKey(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `${randomBytes(keyBytes).toString('base64')}\n`, { mode: 0o600 })
  try {
    chmodSync(draft, 0o600)
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/**
 * Writes the installation's row at the first start, and later checks the sealing key by it: with
 * another key nothing sealed could be opened, and what is sealed anew would be lost to the right
 * one.
 *
 * @throws {Failure} `invalid` when the key is another.
 */
export async function ensureInstallation(db: Database, sealer: Sealer): Promise<void> {
  const sealed = sealer.seal(checkValue, purpose)
  const epoch = newId()
  await db.insert(installation).values({ id: 1, epoch, sealed }).onConflictDoNothing()
  const [row] = await db.select().from(installation)
  if (!row) throw new Error('the installation was not written')
  if (isKeyOf(sealer, row.sealed)) return
  const message = 'the sealing key is not the one that the secrets in the database were sealed with'
  throw new Failure('invalid', message)
}

/** Whether this is the key that an installation's check value was sealed with. */
export function isKeyOf(sealer: Sealer, sealed: string): boolean {
  try {
    return sealer.open(sealed, purpose) === checkValue
  } catch {
    return false
  }
}
