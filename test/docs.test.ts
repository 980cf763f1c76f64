/** The pages for those who run it say what the code says, and lead where they say. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { cliVariables, pages } from '../scripts/docs.ts'
import { root } from './processes.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

test('the generated pages are as `npm run docs` makes them', () => {
  for (const [path, text] of pages()) assert.equal(read(path), text, path)
})

test('every variable of the CLI that its code reads is on the page, and the other way round', () => {
  const sources = readdirSync(join(root, 'cli'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.test\.ts$|^testing\//.test(name))
    .map((name) => read(join('cli', name)))
  const used = new Set(sources.join('\n').match(/\b(INFRA_[A-Z_]+|KUBECONFIG|BROWSER)\b/g))
  // What it tells people to set for a connector is that one's.
  const others = new Set(['INFRA_ACCESS_KEY_FILE', 'INFRA_CONNECTOR_ENDPOINT'])
  const own = [...used].filter((name) => !others.has(name))
  assert.deepEqual(cliVariables.map(([name]) => name).toSorted(), own.toSorted())
})

test('every link of a page leads to something', () => {
  const names = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  const paths = ['README.md', 'bench/README.md', ...names.map((name) => join('docs', name))]
  for (const path of paths.filter((name) => name.endsWith('.md'))) {
    for (const [, target = ''] of read(path).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      assert.ok(existsSync(join(root, dirname(path), target)), `${path} links ${target}`)
    }
  }
})

test('what the page for three in the morning quotes is what the processes say', () => {
  const sources = ['src', 'connector'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => read(join(folder, name))),
  )
  const all = sources.join('\n')
  const rows = read('docs/operating.md').matchAll(/^\| (?:\d{3} )?(`.*?`(?:, `.*?`)*) \|/gm)
  const quoted = [...rows].flatMap(([, cell = '']) => [...cell.matchAll(/`(.*?)`/g)])
  assert.ok(quoted.length > 30)
  // What stands for a name or a number is written as an ellipsis; the API server's own is not ours.
  const words = quoted.map(([, text = '']) => text).filter((text) => !text.includes('User "'))
  const unsaid = words.filter((text) => text.split('…').some((part) => !all.includes(part.trim())))
  assert.deepEqual(unsaid, [])
})
