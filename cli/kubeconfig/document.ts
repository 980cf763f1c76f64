/**
 * The text of one kubeconfig, changed in the entries that are ours and in nothing else. It is cut
 * and pasted at the places that the parser names, because rendering it anew would lose what people
 * wrote by hand; the outcome is parsed again and compared before anybody writes it (security.md K1).
 */
import { isDeepStrictEqual } from 'node:util'
import { isMap, stringify } from 'yaml'
import { Failure } from '../../src/wire/failure.ts'
import { fieldOf, isRecord } from '../disk/unknown.ts'
import { parsed, valuesOf } from './parsed.ts'
import { rendered } from './rendered.ts'
import { spliced } from './spliced.ts'

export const sections = ['clusters', 'contexts', 'users'] as const
export type Section = (typeof sections)[number]
export type Named = { name: string } & Record<string, unknown>
type Plain = Record<string, unknown>
export type Config = Record<Section, Named[]> & { currentContext: string }

export type Change = {
  /** Replaces what bears the same name, else comes last. */
  put: Record<Section, Named[]>
  /** Names. */
  remove: Record<Section, string[]>
  /** What `current-context` becomes; null: stays as it is. */
  currentContext: string | null
}

/** kubectl reads YAML 1.1, in which a plain `no` or `on`, the name of a namespace, is no text. */
export const style = { lineWidth: 0, compat: 'yaml-1.1' } as const

export function emptyChange(): Change {
  return {
    put: { clusters: [], contexts: [], users: [] },
    remove: { clusters: [], contexts: [], users: [] },
    currentContext: null,
  }
}

export function isEmptyChange({ put, remove, currentContext }: Change): boolean {
  const isEmpty = sections.every((it) => put[it].length === 0 && remove[it].length === 0)
  return isEmpty && currentContext === null
}

/** @throws {Failure} `invalid` when the text is no kubeconfig that could be changed safely. */
export function readConfig(text: string): Config {
  const plain = plainOf(text)
  const [clusters, contexts, users] = sections.map((section) => namedIn(plain[section]))
  const current = plain['current-context']
  return {
    clusters: clusters ?? [],
    contexts: contexts ?? [],
    users: users ?? [],
    currentContext: typeof current === 'string' ? current : '',
  }
}

/** @throws {Failure} `invalid` when no way of changing the text leaves the rest as it is. */
export function edited(text: string, change: Change): string {
  const before = plainOf(text)
  for (const way of [fresh, spliced, rendered]) {
    const next = way(text, change)
    if (next !== null && changesOnly(before, next, change)) return next
  }
  throw new Failure(
    'invalid',
    'it is written in a way that cannot be changed without touching the rest',
  )
}

/** A blank text, comments at most, becomes a whole kubeconfig; its comments stay at the top. */
function fresh(text: string, { put, currentContext }: Change): string | null {
  if (text.split('\n').some((line) => !/^\s*(#.*)?$/.test(line))) return null
  const body = stringify(
    { apiVersion: 'v1', kind: 'Config', ...put, 'current-context': currentContext ?? '' },
    style,
  )
  return text.trim() === '' ? body : `${text.replace(/\n?$/, '\n')}${body}`
}

/** Whether `next` is the kubeconfig before with this change and no other. */
function changesOnly(before: Plain, next: string, change: Change): boolean {
  const after = plainOrNull(next)
  if (after === null) return false
  const expected: Plain = { ...before }
  for (const section of sections) {
    expected[section] = changedList(
      listIn(before[section]),
      change.put[section],
      change.remove[section],
    )
    after[section] = listIn(after[section])
  }
  expected['current-context'] = change.currentContext ?? before['current-context'] ?? ''
  after['current-context'] = after['current-context'] ?? ''
  // A new file says what it is; kubectl reads one without.
  for (const key of ['apiVersion', 'kind']) if (!(key in before)) delete after[key]
  return isDeepStrictEqual(after, expected)
}

function changedList(before: unknown[], put: Named[], remove: string[]): unknown[] {
  const kept = before.filter((entry) => !remove.includes(String(nameOf(entry))))
  const replaced = kept.map((entry) => put.find(({ name }) => name === nameOf(entry)) ?? entry)
  return [...replaced, ...put.filter(({ name }) => !kept.some((entry) => nameOf(entry) === name))]
}

function plainOrNull(text: string): Plain | null {
  try {
    return plainOf(text)
  } catch {
    return null
  }
}

function plainOf(text: string): Plain {
  const document = parsed(text)
  const plain = valuesOf(document)
  if (plain === null || plain === undefined) return {}
  if (!isMap(document.contents)) throw new Failure('invalid', 'it is not a mapping')
  return isRecord(plain) ? plain : {}
}

function listIn(list: unknown): unknown[] {
  if (list === null || list === undefined) return []
  if (!Array.isArray(list)) throw new Failure('invalid', 'one of its lists is not a list')
  return list
}

/** The entries that have a name; what has none is nobody's and is left alone. */
function namedIn(list: unknown): Named[] {
  return listIn(list).filter((entry): entry is Named => typeof nameOf(entry) === 'string')
}

function nameOf(entry: unknown): unknown {
  return fieldOf(entry, 'name')
}
