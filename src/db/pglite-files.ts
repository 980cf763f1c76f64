/**
 * The files PGlite is made of, and the snapshot that makes a first start fast. Run from sources,
 * PGlite finds its own beside it in `node_modules`. What is built has no such folder: there
 * `INFRA_EMBEDDED` is defined while building, and the files come with it.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { PGliteOptions } from '@electric-sql/pglite'

/** Defined by `bun build --define INFRA_EMBEDDED=true`, and otherwise not at all. */
declare const INFRA_EMBEDDED: boolean | undefined

/** The version that `package.json` pins; a snapshot belongs to one version. */
export const pgliteVersion = '0.5.16'

/** Where the set-up keeps the snapshot: the folder of an installed PGlite after its `initdb`. */
export const snapshotPath = new URL(`../../.cache/pglite-${pgliteVersion}.tar.gz`, import.meta.url)

type Embedded = Pick<PGliteOptions, 'pgliteWasmModule' | 'initdbWasmModule' | 'fsBundle'>

export async function pgliteFiles(): Promise<{ modules: Embedded; snapshot: Blob | null }> {
  if (typeof INFRA_EMBEDDED !== 'undefined') {
    const { embeddedFiles } = await import('./pglite-embedded.ts')
    return embeddedFiles()
  }
  const snapshot = existsSync(snapshotPath) ? new Blob([readFileSync(snapshotPath)]) : null
  return { modules: {}, snapshot }
}
