/** The help of every command, word for word. `UPDATE_GOLDEN=1` writes the file anew. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fieldOf, jsonOf } from './disk/unknown.ts'
import { infra, shell } from './testing/child.ts'
import { person } from './testing/transcript.ts'
import { tree } from './tree.ts'
import { version } from './version.ts'

const golden = new URL('help.golden.txt', import.meta.url)

/** Every line that help can be asked for by; the programs have a help of their own. */
async function everyCommand(): Promise<string[]> {
  const lines = ['']
  for (const [name, branch] of Object.entries(tree)) {
    const found = await branch.load()
    lines.push(name)
    if (found.kind === 'noun')
      lines.push(...Object.keys(found.commands).map((verb) => `${name} ${verb}`))
  }
  return lines
}

test('the help of every command is as it was agreed, with an example', async (t) => {
  const somebody = person(t)
  let all = ''
  for (const line of await everyCommand()) {
    const { code, out, err } = await somebody.types(`${line} --help`)
    assert.equal(code, 0, line)
    assert.equal(err, '')
    assert.match(out, /\nExamples:\n {2}\S/, `${line} has no example`)
    assert.match(out, /^[\n -~]*$/, `${line} has more than plain text`)
    all += `$ infra ${line}${line && ' '}--help\n${out}\n`
  }
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, all)
  assert.equal(all, readFileSync(golden, 'utf8'))
})

test('the executable itself prints help on stdout, and wrong usage on stderr with exit code 2', async () => {
  const help = await shell(`${infra} grants add --help`, {})
  assert.equal(help.code, 0)
  assert.match(help.out, /^Give a role/)
  assert.equal(help.err, '')
  const bare = await shell(infra, {})
  assert.equal(bare.code, 2)
  assert.equal(bare.out, '')
})

test('the version is that of package.json', () => {
  const read = jsonOf(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  assert.equal(version, fieldOf(read, 'version'))
})
