/**
 * The lists of tests on docs/security.md. A test that is for a line of the page begins its name with
 * the line's number; `npm run docs` lists it there. What is written by hand stays: the words, and
 * tests that are named otherwise.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dirname, join } from 'node:path'

const root = fileURLToPath(new URL('..', import.meta.url))

/** A test as the page cites it: `…` in its name is what the file works out. */
export type Cited = { path: string; name: string }

const quoted = /(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`([^`]*)`)/
const call = new RegExp(`\\b(?:test|it)\\(\\s*${quoted.source}`, 'g')
const string = /'([DKPRLSO]\d[^'\n]*)'/g
const numbered = /^[DKPRLSO]\d+(?:, [DKPRLSO]\d+)*(?=: )/
const heading = /^### ([DKPRLSO]\d+)\. /
const line = /^- `([^`]+\.test\.ts)` "(.*)"$/

/** The names of the tests in a file: where the tests are, or in the tables that it goes through. */
export function testsIn(path: string): string[] {
  const source = readFileSync(join(root, path), 'utf8')
  const own = namesOf(source.matchAll(call))
  return /\btest\([a-z]/.test(source) ? [...own, ...titlesBehind(path, new Set())] : own
}

/** A title of a table is a numbered string in a fixture of the same folder. */
function titlesBehind(path: string, seen: Set<string>): string[] {
  const source = readFileSync(join(root, path), 'utf8')
  return [...source.matchAll(/from '\.\/([\w-]+\.fixtures\.ts)'/g)].flatMap(([, name = '']) => {
    const fixture = join(dirname(path), name)
    if (seen.has(fixture)) return []
    seen.add(fixture)
    const strings = readFileSync(join(root, fixture), 'utf8').matchAll(string)
    const titles = namesOf(strings).filter((text) => numbersOf(text).length > 0)
    return [...titles, ...titlesBehind(fixture, seen)]
  })
}

function namesOf(found: Iterable<RegExpMatchArray>): string[] {
  return [...found].map(([, single, double, template]) => {
    const written = single ?? double ?? template ?? ''
    return written.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(.)/g, '$1')
  })
}

export function numbersOf(name: string): string[] {
  return numbered.exec(name)?.[0].split(', ') ?? []
}

/** The page as blocks: what stands before the first line, then each line of threats with its own. */
export function blocksOf(
  page: string,
): { number: string | null; text: string[]; cited: Cited[] }[] {
  const blocks = [{ number: null as string | null, text: [] as string[], cited: [] as Cited[] }]
  for (const text of page.split('\n')) {
    const [, number] = heading.exec(text) ?? []
    // A heading of another kind ends the block before it.
    if (number !== undefined || text.startsWith('## ')) {
      blocks.push({ number: number ?? null, text: [], cited: [] })
    }
    const block = blocks.at(-1)
    const [, path, name] = line.exec(text) ?? []
    if (path !== undefined && name !== undefined) block?.cited.push({ path, name })
    else block?.text.push(text)
  }
  return blocks
}

/** The page with the lists as they should be. */
export function securityPage(page = readFileSync(join(root, 'docs/security.md'), 'utf8')): string {
  const all = allTests()
  const written = blocksOf(page).map(({ number, text, cited }) => {
    const words = text.join('\n').trim()
    if (number === null) return words
    const own = all.filter(({ name }) => numbersOf(name).includes(number))
    const others = cited.filter(({ name }) => !numbersOf(name).includes(number))
    const lines = [...own, ...others].map(({ path, name }) => `- \`${path}\` "${name}"`)
    return [words, lines.join('\n')].filter((part) => part !== '').join('\n\n')
  })
  return `${written.join('\n\n')}\n`
}

export function allTests(): Cited[] {
  return ['cli', 'connector', 'src', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .toSorted()
      .flatMap((name) => {
        const path = `${folder}/${name}`
        return testsIn(path).map((name) => ({ path, name }))
      }),
  )
}
