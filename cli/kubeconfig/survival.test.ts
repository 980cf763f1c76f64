/** Whatever a kubeconfig looks like: what is not ours survives, or the file is left as it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { MyDestination } from '../../src/wire/destinations.ts'
import { Failure } from '../../src/wire/failure.ts'
import { fieldOf, isRecord } from '../disk/unknown.ts'
import { destination } from '../testing/destinations.ts'
import { oddKubeconfig, oddScalars, type Random, seeded } from '../testing/odd-kubeconfig.ts'
import { edited, isEmptyChange, readConfig, sections } from './document.ts'
import type { Pin } from './entries.ts'
import { type Current, planned } from './plan.ts'

/** More, to look for what these do not find: `ODD_KUBECONFIGS=3000 node --test …`. */
const seeds = Number(process.env['ODD_KUBECONFIGS'] ?? 60)
const own = { command: '/usr/local/bin/infra', args: [] }
const pin: Pin = { server: 'https://infra.example.com', session: 's-1', configFolder: null, own }
const other: Pin = { ...pin, server: 'https://other.example.org', session: 's-9' }

const prod = destination('prod', [null, 'no', '1e3'])
const lab = destination('lab', ['web'])
const steps: [Pin, MyDestination[], Current][] = [
  [pin, [prod, lab], { kind: 'first' }],
  [other, [prod], { kind: 'first' }],
  [pin, [prod, lab], { kind: 'use', destination: 'prod', namespace: 'no' }],
  [{ ...pin, session: 's-2' }, [prod], { kind: 'keep' }],
  [pin, [], { kind: 'keep' }],
  [other, [], { kind: 'keep' }],
]

function after(text: string, [who, mine, current]: (typeof steps)[number]): string {
  const { changes } = planned([readConfig(text)], 0, who, mine, current)
  const [change] = changes
  return change && !isEmptyChange(change) ? edited(text, change) : text
}

/** Everything in a kubeconfig but the entries that run our program, by a reading of its own. */
function theirs(text: string): unknown {
  const plain: unknown = parse(text)
  const config: Record<string, unknown> = isRecord(plain) ? { ...plain } : {}
  delete config['current-context']
  delete config['kind']
  const ours = new Set(
    listed(config['users'])
      .filter((user) => fieldOf(fieldOf(fieldOf(user, 'user'), 'exec'), 'command') === own.command)
      .map((user) => fieldOf(user, 'name')),
  )
  for (const section of sections) {
    const ownerOf = (entry: unknown): unknown =>
      section === 'contexts' ? fieldOf(fieldOf(entry, 'context'), 'user') : fieldOf(entry, 'name')
    config[section] = listed(config[section]).filter((entry) => !ours.has(ownerOf(entry)))
  }
  return config
}

function listed(list: unknown): unknown[] {
  return Array.isArray(list) ? list : []
}

function noNameTwice(before: string, text: string, label: string): void {
  for (const section of sections) {
    const named = readConfig(text)[section].map(({ name }) => name)
    const twice = named.filter((name, at) => named.indexOf(name) !== at)
    const was = readConfig(before)[section].map(({ name }) => name)
    assert.ok(
      twice.every((name) => was.indexOf(name) !== was.lastIndexOf(name)),
      label,
    )
  }
}

/** Whether a line may have changed: `current-context`, and the head of a list that was empty. */
function mayChange(line: string): boolean {
  return /^\ufeff?"?(current-context|(clusters|contexts|users)"?:( *(null|\[\]|~)))/.test(line)
}

function linesSurvive(before: string, text: string, label: string): void {
  const lines = text.split(/\r?\n/)
  let at = 0
  for (const line of before.split(/\r?\n/)) {
    if (mayChange(line) || line === '') continue
    const found = lines.indexOf(line, at)
    assert.notEqual(found, -1, `${label}: lost ${JSON.stringify(line)}`)
    at = found + 1
  }
}

/** Takes an odd kubeconfig through a login, a second server, and the loss of everything. */
function survives(random: Random, label: string): boolean {
  const start = oddKubeconfig(random)
  const isFlow = start.startsWith('{')
  let text = start
  for (const [at, step] of steps.entries()) {
    const where = `${label}, step ${at}\n${text}`
    const next = tried(() => after(text, step), where)
    if (next === null) return false
    assert.deepEqual(theirs(next), theirs(start), where)
    for (const odd of oddScalars)
      assert.equal(count(next, odd) >= count(start, odd), true, `${where}: lost ${odd}`)
    if (!isFlow) linesSurvive(start, next, where)
    noNameTwice(start, next, where)
    text = next
  }
  return true
}

function count(text: string, part: string): number {
  return text.split(part).length - 1
}

function tried(work: () => string, label: string): string | null {
  try {
    return work()
  } catch (error) {
    assert.ok(error instanceof Failure && error.code === 'invalid', `${label}: ${String(error)}`)
    return null
  }
}

test('K1, K2: whatever the kubeconfig, all that is not ours survives a login, a second server and their loss', () => {
  let refused = 0
  for (let seed = 1; seed <= seeds; seed++) if (!survives(seeded(seed), `seed ${seed}`)) refused++
  assert.ok(refused < seeds / 10, `${refused} of ${seeds} were refused: too many to mean anything`)
})
