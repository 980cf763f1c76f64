/**
 * PGlite's files inside the one executable, or beside the bundles for Node. Loaded in what is built
 * only: `type: 'file'` is Bun's own.
 */
import { readFile } from 'node:fs/promises'
// @ts-expect-error -- a file, whose path is what is imported: inside the executable, or beside this bundle
import bundle from '../../node_modules/@electric-sql/pglite/dist/pglite.data' with { type: 'file' }
// @ts-expect-error -- likewise
import initdb from '../../node_modules/@electric-sql/pglite/dist/initdb.wasm' with { type: 'file' }
// @ts-expect-error -- likewise
import pglite from '../../node_modules/@electric-sql/pglite/dist/pglite.wasm' with { type: 'file' }
// @ts-expect-error -- likewise; `src/db/snapshot.ts` makes it before a build
import snapshot from '../../.cache/pglite-0.5.16.tar.gz' with { type: 'file' }
import type { pgliteFiles } from './pglite-files.ts'

/** Of the whole global, which the types of Node leave out, the one function used here. */
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<object> }

export async function embeddedFiles(): ReturnType<typeof pgliteFiles> {
  const [pgliteWasm, initdbWasm, data, made] = await Promise.all([
    readFile(placeOf(pglite)),
    readFile(placeOf(initdb)),
    readFile(placeOf(bundle)),
    readFile(placeOf(snapshot)),
  ])
  const modules = {
    pgliteWasmModule: await WebAssembly.compile(pgliteWasm),
    initdbWasmModule: await WebAssembly.compile(initdbWasm),
    fsBundle: new Blob([data]),
  }
  return { modules, snapshot: new Blob([made]) }
}

/** An absolute path stays what it is; one beside the bundle is found wherever the bundle was put. */
function placeOf(path: unknown): URL {
  return new URL(String(path), import.meta.url)
}
