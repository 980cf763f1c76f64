/** ARCHITECTURE.md is the truth about the code: it names every source file and every dependency. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
const named = new Set([...page.matchAll(/`([\w./@-]+)`/g)].map(([, name]) => name))

/** What only tests use is told by the tests. */
const isTold = (path: string) => !/\.test\.ts$|fixtures\.ts$|^cli\/testing\//.test(path)

test('every source file is named in ARCHITECTURE.md, in a line', () => {
  const missing = sources().filter((path) => !named.has(nameOf(path)))
  assert.deepEqual(missing, [])
})

test('ARCHITECTURE.md names no source file that is not there', () => {
  const there = new Set(sources())
  const claimed = [...named].filter((name) => /^(src|connector|cli)\/.*\.ts$/.test(name ?? ''))
  assert.deepEqual(
    claimed.filter((path) => !there.has(path ?? '')),
    [],
  )
})

test('every runtime dependency stands there with its reason', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const missing = Object.keys(dependencies).filter((name) => !page.includes(`\n| ${name} | `))
  assert.deepEqual(missing, [])
})

/** The commands are told in one line: their names say all. */
function nameOf(path: string): string {
  return path.startsWith('cli/commands/') ? path.slice('cli/commands/'.length) : path
}

function sources(): string[] {
  return ['src', 'connector', 'cli'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`)
      .filter(isTold),
  )
}
