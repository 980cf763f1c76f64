/**
 * The record of a run of the suite: every credential that was issued or used, and every text in
 * which none may stand. `npm test` names its folder in `INFRA_TEST_RECORD` and searches it at the
 * end (`search.ts`); without it, nothing is kept.
 *
 * Each process appends to two files of its own, at once, so that nothing is lost with a process
 * that is killed.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export const kinds = [
  ...['password', 'session', 'access key', 'token', 'client secret', 'provider token'],
  ...['code', 'state', 'nonce', 'code verifier', 'CLI verifier', 'sealing key', 'private key'],
  ...['database password', 'proxy password', 'cluster token'],
] as const
export type Kind = (typeof kinds)[number]

export const places = [
  ...['server log', 'connector log', 'test output', 'cluster log', 'provider log', 'audit log'],
  ...['CLI out', 'CLI err', 'kubectl out', 'kubectl err', 'kubeconfig', 'argv'],
  ...['URL', 'provider URL', 'loopback URL', 'event', 'metrics', 'readiness'],
] as const
export type Place = (typeof places)[number]

export type Secret = { kind: Kind; value: string }
/** `where` tells a finding's reader which of the place's texts it is. */
export type Text = { place: Place; where: string; text: string }

/** A credential. What is none (not given, not made) is passed over. */
export function secret(kind: Kind, value: unknown): void {
  if (typeof value !== 'string' || value === '') return
  const key = `${kind} ${value}`
  if (known.has(key)) return
  known.add(key)
  append('secrets', { kind, value } satisfies Secret)
}

/** A text in which no credential may stand. */
export function written(place: Place, where: string, text: string): void {
  if (text !== '') append('texts', { place, where, text } satisfies Text)
}

/** The same of a file, which may be large: in pieces that overlap by more than any credential. */
export function writtenFile(place: Place, where: string, path: string): void {
  if (!recordFolder()) return
  const piece = Buffer.alloc(1 << 20)
  const overlap = 1 << 13
  const file = openSync(path, 'r')
  try {
    for (let from = 0; ; from += piece.length - overlap) {
      const length = readSync(file, piece, 0, piece.length, from)
      written(place, where, piece.toString('utf8', 0, length))
      if (length < piece.length) return
    }
  } finally {
    closeSync(file)
  }
}

/** Asked each time: `npm test` names it when its modules are loaded already. */
export const recordFolder = () => process.env['INFRA_TEST_RECORD']
const known = new Set<string>()
const files = new Map<string, number>()

function append(name: 'secrets' | 'texts', line: object): void {
  const folder = recordFolder()
  if (!folder) return
  const file = files.get(name) ?? openSync(join(folder, `${process.pid}.${name}`), 'a', 0o600)
  files.set(name, file)
  writeSync(file, `${JSON.stringify(line)}\n`)
}
