import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Arguments } from '../command.ts'
import { placeFrom } from './place.ts'
import { instantAfter, secondsOf } from './span.ts'
import { checkedWords } from './words.ts'

const declared: Arguments = {
  subject: { type: 'positional', description: '' },
  place: { type: 'positional', required: false, description: '' },
  role: { type: 'string', required: true, valueHint: 'ROLE', description: '' },
  wait: { type: 'string', bare: '30s', valueHint: 'D', description: '' },
  group: { type: 'boolean', description: '' },
  admin: { type: 'boolean', description: '', negatable: 'not' },
  browser: { type: 'boolean', default: true, description: '', negatable: 'none' },
  format: { type: 'enum', options: ['table', 'json'], default: 'table', description: '' },
}

test('flags and words may come in any order', () => {
  const expected = ['--role=view', '--group', '--', 'ana', 'prod']
  for (const line of ['ana prod --role view --group', '--role=view ana --group prod']) {
    assert.deepEqual(checkedWords(declared, line.split(' ')), expected)
  }
  assert.deepEqual(checkedWords(declared, ['--role', 'x', '--', '--odd']), [
    '--role=x',
    '--',
    '--odd',
  ])
  assert.deepEqual(checkedWords(declared, ['a', '--role', '-x=y']), ['--role=-x=y', '--', 'a'])
})

test('a flag with a value of its own takes no word', () => {
  assert.deepEqual(checkedWords(declared, ['--wait', 'ana', '--role', 'x']), [
    '--wait=30s',
    '--role=x',
    '--',
    'ana',
  ])
  assert.deepEqual(checkedWords(declared, ['--wait=5m', 'ana', '--role', 'x']), [
    '--wait=5m',
    '--role=x',
    '--',
    'ana',
  ])
})

test('a flag may be denied where that means something', () => {
  assert.deepEqual(checkedWords(declared, ['a', '--role=x', '--no-admin', '--no-browser']), [
    '--role=x',
    '--no-admin',
    '--no-browser',
    '--',
    'a',
  ])
})

test('everything else is wrong usage', () => {
  const wrong: [string, RegExp][] = [
    ['a --role x --frmat json', /there is no flag --frmat/],
    ['a --role x -v', /there is no flag -v/],
    ['a --role x --no-group', /there is no flag --no-group/],
    ['a --role x --browser', /there is no flag --browser/],
    ['a --role x --subject b', /there is no flag --subject/],
    ['a --role x --constructor b', /there is no flag --constructor/],
    ['a --role x --role y', /--role is given twice/],
    ['a --role x --admin --no-admin', /--admin is given twice/],
    ['a --role', /--role needs a value/],
    ['a --role --group', /--role needs a value/],
    ['a --role x --group=yes', /--group takes no value/],
    ['a --role x --format xml', /--format must be one of table, json/],
    ['a', /--role is missing/],
    ['--role x', /SUBJECT is missing/],
    ['a b c --role x', /"c" is one word too many/],
  ]
  for (const [line, message] of wrong) {
    assert.throws(() => checkedWords(declared, line.split(' ')), { name: 'Misuse', message }, line)
  }
  assert.throws(() => checkedWords(declared, ['', '--role', 'x']), { name: 'Misuse' })
})

test('a place is a destination, or one of its namespaces', () => {
  assert.deepEqual(placeFrom('prod'), { destination: 'prod', namespace: null })
  assert.deepEqual(placeFrom('prod.web'), { destination: 'prod', namespace: 'web' })
  for (const text of ['', '.web', 'prod.', 'prod.web.x', 'prod/web', 'prod.Web']) {
    assert.throws(() => placeFrom(text), { name: 'Misuse' }, text)
  }
})

test('spans become instants by the clock that is handed in', () => {
  assert.equal(secondsOf('for', undefined), null)
  assert.equal(instantAfter('for', '12h', 0), '1970-01-01T12:00:00.000Z')
  assert.throws(() => secondsOf('for', 'soon'), {
    name: 'Misuse',
    message: /^--for must be a duration/,
  })
})
