/** What kubectl asks for, answered from the cache before the rest of the CLI is loaded. */
import { configFolder, type Environment } from './disk/places.ts'
import { execCredential, isFresh, keptToken, markHandedOut, tokenFile } from './plugin-cache.ts'
import { startOf } from './disk/started.ts'

/**
 * The ExecCredential for the exact words that a kubeconfig of ours holds, or null: everything else,
 * and every doubt, is for `commands/tokens.ts`.
 */
export function cachedAnswer(words: string[], env: Environment, now: number): string | null {
  const [noun, verb, destination, serverFlag, server, sessionFlag, session, more] = words
  if (noun !== 'tokens' || verb !== 'create' || more !== undefined) return null
  if (serverFlag !== '--server' || sessionFlag !== '--session') return null
  if (!destination || !server || !session) return null
  const key = { server, session, destination }
  const file = tokenFile(configFolder(env), key)
  const kept = keptToken(file, key)
  if (!kept || !isFresh(kept, now)) return null
  const parent = { pid: process.ppid, started: startOf(process.ppid) }
  return markHandedOut(file, kept, parent) ? execCredential(kept) : null
}
