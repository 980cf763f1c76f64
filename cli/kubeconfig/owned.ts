/**
 * Whose a name in a kubeconfig is. An entry is ours only when its name begins with `infra:` and its
 * user runs `tokens create` with a server; everything else is somebody else's, whatever it is called.
 */
import type { MyDestination } from '../../src/wire/destinations.ts'
import { fieldOf } from '../disk/unknown.ts'
import type { Config, Named } from './document.ts'
import { type Pin, pinOf } from './entries.ts'

/**
 * For each file the names of users that are ours and pinned to `server`. A name that somebody else's
 * entry bears as well is not ours there, nor is it in another file because it is ours in one.
 */
export function ownedNames(files: Config[], server: string): Set<string>[] {
  return files.map(({ users }) => {
    const others = users.filter((user) => pinOf(user)?.server !== server)
    const names = new Set(users.map(({ name }) => name))
    for (const { name } of others) names.delete(name)
    return names
  })
}

/** The name a destination gets, and the file: what it has already, else the first that is free. */
export function placeOf(
  files: Config[],
  target: number,
  pin: Pin,
  owned: Set<string>[],
  { id, name }: MyDestination,
): { base: string; file: number } | null {
  const names = [`infra:${name}`, `infra:${name}@${new URL(pin.server).host}`]
  const free = names.filter((base) => isFree(files, owned, base))
  // A name that is in use stays, although a shorter one may have become free: scripts hold it.
  const known = free.find((base) => holder(files, base, pin.server)?.destination === id)
  const base = known ?? free[0]
  if (base === undefined) return null
  return { base, file: known ? (holder(files, known, pin.server)?.file ?? target) : target }
}

function holder(
  files: Config[],
  base: string,
  server: string,
): { file: number; destination: string } | null {
  for (const [file, { users }] of files.entries()) {
    const user = users.find(({ name }) => name === base)
    const pinned = user ? pinOf(user) : null
    if (pinned) return pinned.server === server ? { file, destination: pinned.destination } : null
  }
  return null
}

function isFree(files: Config[], owned: Set<string>[], base: string): boolean {
  const isNamed = ({ name }: Named): boolean => name === base || name.startsWith(`${base}:`)
  return !files.some(({ clusters, contexts, users }, at) => {
    const isTheirs = (owner: unknown): boolean => !owned[at]?.has(String(owner))
    const others = [...clusters, ...users].filter(isNamed).some(({ name }) => isTheirs(name))
    return others || contexts.filter(isNamed).some((entry) => isTheirs(userOf(entry)))
  })
}

/** The user that a context names. */
export function userOf(context: Named): unknown {
  return fieldOf(context['context'], 'user')
}
