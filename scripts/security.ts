/**
 * The lists of tests on docs/security.md. A test that is for a line of the page begins its name with
 * the line's number; `npm run docs` lists it there. What is written by hand stays: the words, and
 * tests that are named otherwise.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

const root = fileURLToPath(new URL('..', import.meta.url))

/** A test as the page cites it: `…` in its name is what the file works out. */
export type Cited = { path: string; name: string }

const call = /\b(?:test|it)\(\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`([^`]*)`)/g
const numbered = /^[DKPRLSO]\d+(?:, [DKPRLSO]\d+)*(?=: )/
const heading = /^### ([DKPRLSO]\d+)\. /
const line = /^- `([^`]+\.test\.ts)` "(.*)"$/

/** The names of the tests in a file, as far as they are written where the test is. */
export function testsIn(source: string): string[] {
  return [...source.matchAll(call)].map(([, single, double, template]) => {
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
        return testsIn(readFileSync(join(root, path), 'utf8')).map((name) => ({ path, name }))
      }),
  )
}
