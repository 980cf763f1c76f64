/** The page of all attacks and what comes of each. `UPDATE_GOLDEN=1` writes the file anew. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { printable } from '../../src/wire/names.ts'
import { Signer } from '../fixtures.ts'
import { answers, type Answered } from './answers.fixtures.ts'
import { Sender, wordsOf } from './attack.fixtures.ts'
import { families } from './families.fixtures.ts'
import { badTokens, statusOf } from './tokens.fixtures.ts'

const golden = new URL('verdicts.md', import.meta.url)

const intro = `# Attacks on the connector's door, and what comes of each

Made from the tables beside this file (\`UPDATE_GOLDEN=1 npm test -- connector/attacks\`). Each attack is carried out over TLS
on Bun and on Node, and both are held to the verdict that stands here: *refused* is an answer of the connector's, which then
closes and reads no further, with nothing at the API server; \`GET /a\` *as ana* arrived there in exactly the bytes that a strict
reading gives; *cut off*: no more of the request arrived than was good of it, and the connection to the API server was closed.
`

test('the page of attacks says what the tables say', () => {
  const page = pageOf()
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, page)
  assert.equal(page, readFileSync(golden, 'utf8'))
})

function pageOf(): string {
  const [ana, bo] = [new Sender('ana', 'TOKEN'), new Sender('bo', 'TOKEN2')]
  const callers = families.map(({ title, attacks }) =>
    section(
      title,
      attacks(ana, bo).map(({ name, verdicts }) => [name, shortened(verdicts.map(wordsOf))]),
    ),
  )
  const clusters = Object.entries(answers).map(([title, rows]) =>
    section(
      title,
      rows.map((row) => [row.name, wordsOfAnswer(row)]),
    ),
  )
  const names = Object.keys(badTokens(new Signer('k1')))
  const tokens = names.map((name): [string, string] => [name, `refused, ${statusOf(name)}`])
  return [intro, ...callers, ...clusters, section(tokensTitle, tokens)].join('\n')
}

const tokensTitle = 'D7: over the wire, no token but ours for this destination lets anybody in'

function section(title: string, rows: [name: string, verdict: string][]): string {
  const lines = rows.map(([name, verdict]) => `| ${cell(name)} | ${verdict} |`)
  return `## ${title}\n\n| attack | verdict |\n|---|---|\n${lines.join('\n')}\n`
}

function cell(text: string): string {
  return printable(text).replaceAll(/[\\|<>*_`[\]]/g, String.raw`\$&`)
}

function shortened(words: string[]): string {
  return words.length > 6
    ? `${words.slice(0, 2).join(', ')}, … (${words.length})`
    : words.join(', ')
}

function wordsOfAnswer({ caller, isKept }: Answered): string {
  const to = {
    bytes: 'passed on by its one reading',
    part: 'cut off, and seen to be',
    refused: '502',
  }
  return `${to[caller.kind]}; the connection ${isKept ? 'is used again' : 'is closed'}`
}
