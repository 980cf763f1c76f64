/**
 * What to change in which file, judged from values alone. Of the entries that are ours only those
 * that are pinned to this server are ever touched (security.md K1, K2).
 */
import { isDeepStrictEqual } from 'node:util'
import type { MyDestination } from '../../src/wire/destinations.ts'
import { fieldOf } from '../disk/unknown.ts'
import { type Change, type Config, emptyChange, type Named, sections } from './document.ts'
import { ownedNames, placeOf, userOf } from './owned.ts'
import {
  clusterEntry,
  contextEntry,
  namespacesOf,
  type Pin,
  problemOf,
  userEntry,
} from './entries.ts'

/** What becomes of `current-context`: the first destination where none is set, or one picked. */
export type Current =
  | { kind: 'keep' }
  | { kind: 'first' }
  | { kind: 'use'; destination: string; namespace: string | null }
export type Written = {
  destination: { id: string; name: string }
  /** The context of the whole cluster, and those of namespaces. */
  contexts: string[]
  /** What `use` without a namespace means. */
  main: string
}
export type Plan = { changes: Change[]; entries: Written[]; warnings: string[]; current: string }

type Placed = Written & { file: number; clusters: Named; users: Named; contextEntries: Named[] }

/** `files` in the order of KUBECONFIG; `target` is the one that takes what is new. */
export function planned(
  files: Config[],
  target: number,
  pin: Pin,
  destinations: MyDestination[],
  current: Current,
): Plan {
  const owned = ownedNames(files, pin.server)
  const warnings: string[] = []
  const placed: Placed[] = []
  for (const destination of destinations) {
    const problem = problemOf(destination) ?? repeated(destination, placed)
    const place = problem === null ? placeOf(files, target, pin, owned, destination) : null
    if (place) placed.push(entriesAt(files, place, pin, destination, current))
    else
      warnings.push(
        problem ??
          `the names of ${destination.name} are taken in the kubeconfig by entries that are not ours`,
      )
  }
  const changes = files.map((file, at) =>
    changeOf(
      file,
      owned[at] ?? new Set(),
      placed.filter((it) => it.file === at),
    ),
  )
  const chosen = chooseCurrent(files, target, changes, placed, current)
  return { changes, entries: placed, warnings, current: chosen }
}

/** kubectl refuses a whole file in which a name comes twice, with every cluster that is in it. */
function repeated({ id, name }: MyDestination, placed: Placed[]): string | null {
  const isTaken = placed.some(({ destination: it }) => it.name === name || it.id === id)
  return isTaken ? `the server named ${name} more than once` : null
}

function entriesAt(
  files: Config[],
  { base, file }: { base: string; file: number },
  pin: Pin,
  destination: MyDestination,
  current: Current,
): Placed {
  const namespaces = namespacesOf(destination)
  const contextEntries = [
    contextEntry(base, base, wholeNamespace(files, base, destination, current)),
    ...namespaces.map((namespace) => contextEntry(`${base}:${namespace}`, base, namespace)),
  ]
  const isWhole = destination.roles.some(({ namespace }) => namespace === null)
  const contexts = contextEntries.map(({ name }) => name)
  return {
    destination: { id: destination.id, name: destination.name },
    contexts,
    main: isWhole ? base : (contexts[1] ?? base),
    file,
    clusters: clusterEntry(base, destination),
    users: userEntry(base, destination.id, pin),
    contextEntries,
  }
}

/**
 * Where the whole cluster's context starts: the namespace that `use` names, where it has no context
 * of its own, else what the person set with `kubectl config set-context`.
 */
function wholeNamespace(
  files: Config[],
  base: string,
  destination: MyDestination,
  current: Current,
): string | null {
  const isUsed = current.kind === 'use' && current.destination === destination.name
  if (isUsed && !namespacesOf(destination).includes(current.namespace ?? ''))
    return current.namespace
  const entry = files.flatMap(({ contexts }) => contexts).find(({ name }) => name === base)
  const namespace = fieldOf(entry?.['context'], 'namespace')
  return typeof namespace === 'string' && namespace !== '' ? namespace : null
}

function changeOf(file: Config, owned: Set<string>, placed: Placed[]): Change {
  const wanted = {
    clusters: placed.map((it) => it.clusters),
    contexts: placed.flatMap((it) => it.contextEntries),
    users: placed.map((it) => it.users),
  }
  const change = emptyChange()
  for (const section of sections) {
    const isOurs = (entry: Named): boolean =>
      entry.name.startsWith('infra:') &&
      owned.has(String(section === 'contexts' ? userOf(entry) : entry.name))
    const stays = new Set(wanted[section].map(({ name }) => name))
    change.remove[section] = file[section]
      .filter((it) => isOurs(it) && !stays.has(it.name))
      .map(({ name }) => name)
    change.put[section] = wanted[section].filter(
      (it) => !file[section].some((old) => isDeepStrictEqual(old, it)),
    )
  }
  return change
}

/** Decides `current-context`, notes it in the file that it belongs to, and gives what it is then. */
function chooseCurrent(
  files: Config[],
  target: number,
  changes: Change[],
  placed: Placed[],
  current: Current,
): string {
  const at = files.findIndex(({ currentContext }) => currentContext !== '')
  const was = files[at]?.currentContext ?? ''
  const isLost =
    changes.some(({ remove }) => remove.contexts.includes(was)) &&
    !placed.some(({ contexts }) => contexts.includes(was))
  const left = isLost ? '' : was
  const next = wantedCurrent(placed, current, left)
  const change = changes[at === -1 ? target : at]
  if (change && next !== was) change.currentContext = next
  return next
}

function wantedCurrent(placed: Placed[], current: Current, left: string): string {
  if (current.kind === 'use') {
    const found = placed.find(({ destination }) => destination.name === current.destination)
    if (!found) return left
    const named = found.contexts.find(
      (name) => name === `${found.contexts[0]}:${current.namespace}`,
    )
    return named ?? found.main
  }
  return current.kind === 'first' && left === '' ? (placed[0]?.main ?? '') : left
}
