import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { readSecret } from './secret.ts'
import { showList, tableOf, when } from './table.ts'
import { isOn, printableLines } from './terminal.ts'
import { person } from '../testing/transcript.ts'

type Row = { name: string; note: string }

/** What is typed, key by key or in one piece, as a terminal in raw mode hands it over. */
async function typed(...pieces: (string | Buffer)[]): Promise<{ line: string; modes: boolean[] }> {
  const modes: boolean[] = []
  const keys = Object.assign(new PassThrough(), { setRawMode: (mode: boolean) => modes.push(mode) })
  const line = readSecret(
    keys,
    () => assert.deepEqual(modes, [true], 'asked while typing is shown'),
    () => {},
  )
  for (const piece of pieces) keys.write(piece)
  return { line: await line, modes }
}

test('a secret is what was typed up to Enter, with what was erased left out', async () => {
  const { line, modes } = await typed('cor', 'x\u007f', 'rect', '\r')
  assert.equal(line, 'correct')
  assert.deepEqual(modes, [true, false], 'the terminal is put back')
  assert.equal((await typed('pasted in one piece\nand more')).line, 'pasted in one piece')
  assert.equal((await typed(Buffer.from([0xc3]), Buffer.from([0xa9]), '\n')).line, 'é')
})

test('Ctrl-C and Ctrl-D give nothing', async () => {
  await assert.rejects(typed('abc\u0003'), { code: 'invalid' })
  await assert.rejects(typed('\u0004'), { code: 'invalid' })
})

test('K4: what a terminal would obey is printed so that one can see it', () => {
  assert.equal(
    printableLines('a\u001b[2J\nb\r\u0007\u202ec'),
    'a\\u001b[2J\nb\\u000d\\u0007\\u202ec',
  )
  assert.equal(
    tableOf([{ name: 'x\ny\u009b' }], { NAME: ({ name }) => name }),
    'NAME\nx\\u000ay\\u009b',
  )
})

test('columns are as wide as their widest cell, and no line ends in spaces', () => {
  const rows: Row[] = [
    { name: 'a', note: '' },
    { name: 'longer', note: 'x' },
  ]
  const columns = {
    NAME: ({ name }: { name: string }) => name,
    NOTE: ({ note }: Row) => note,
  }
  assert.equal(tableOf(rows, columns), 'NAME    NOTE\na\nlonger  x')
  assert.equal(tableOf([], columns), 'NAME  NOTE')
  assert.equal(when('2030-01-01T00:00:00.123Z'), '2030-01-01T00:00:00Z')
})

test('JSON stays JSON when control characters are made visible', async (t) => {
  const { env } = person(t)
  let out = ''
  const terminal = {
    env,
    isInteractive: false,
    out: (text: string) => (out += printableLines(text)),
    err: () => {},
    ask: async () => '',
    askSecret: async () => '',
    now: Date.now,
  }
  showList(terminal, 'json', [{ name: 'a\u009b\u202e"' }], {})
  assert.deepEqual(JSON.parse(out), [{ name: 'a\u009b\u202e"' }])
  assert.match(out, /^[\n -~]*$/)
})

test('a switch in the environment is on unless it says no', () => {
  for (const no of [undefined, '', '0', 'false', 'No', 'off']) assert.equal(isOn(no), false)
  for (const yes of ['1', 'true', 'yes']) assert.equal(isOn(yes), true)
})
