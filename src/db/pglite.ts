/**
 * The embedded database: PGlite in a directory, or in memory for tests.
 *
 * PGlite compiles fsync out: a killed process loses nothing that was acknowledged, a power cut may.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import type { Store } from './database.ts'
import { pgliteFiles } from './pglite-files.ts'
import * as schema from './schema.ts'

/**
 * Opens `directory`, making the database at the first time; null: in memory. Whoever calls holds
 * the lock of the data directory (`lock.ts`).
 */
export async function openPglite(directory: string | null): Promise<Store> {
  if (directory !== null) await initialise(directory)
  const client = await open(directory)
  return {
    db: drizzle(client, { schema }),
    listen: (channel, heard) => client.listen(channel, () => heard()),
    isListening: () => true,
    close: () => client.close(),
  }
}

/**
 * Made under another name and renamed when whole: a process that is killed in its first start
 * leaves no half database behind that a later one would take for a whole one.
 */
async function initialise(directory: string): Promise<void> {
  const parent = join(directory, '..')
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(parent)) {
    if (name.startsWith(unfinished)) rmSync(join(parent, name), { recursive: true, force: true })
  }
  if (existsSync(directory)) return
  const partial = join(parent, `${unfinished}${process.pid}`)
  const client = await open(partial)
  await client.close()
  renameSync(partial, directory)
}

const unfinished = 'pglite.unfinished-'

async function open(directory: string | null): Promise<PGlite> {
  const { modules, snapshot } = await pgliteFiles()
  const isNew = directory === null || !existsSync(directory)
  return PGlite.create({
    ...modules,
    ...(directory === null ? {} : { dataDir: directory }),
    ...(isNew && snapshot ? { loadDataDir: snapshot } : {}),
  })
}
