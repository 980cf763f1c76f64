/** Makes the snapshot of a fresh PGlite, where there is none yet: run by the set-up. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import { snapshotPath } from './pglite-files.ts'

const path = fileURLToPath(snapshotPath)
if (!existsSync(path)) {
  const fresh = await PGlite.create()
  const dump = await fresh.dumpDataDir('gzip')
  await fresh.close()
  mkdirSync(dirname(path), { recursive: true })
  // Renamed when it is whole: whoever starts meanwhile sees all of it or nothing.
  const partial = `${path}.${process.pid}`
  writeFileSync(partial, Buffer.from(await dump.arrayBuffer()))
  renameSync(partial, path)
}
