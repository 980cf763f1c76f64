/** Whose a file is. Imports nothing heavy: the plugin's fast path needs it. */
import type { Stats } from 'node:fs'

/**
 * Whether nobody but this user can have read a file or put it there. Root may read everybody's:
 * under sudo the files are those of the person.
 */
export function isPrivate({ mode, uid }: Pick<Stats, 'mode' | 'uid'>): boolean {
  const me = process.geteuid?.()
  // Windows knows neither owners nor modes in this sense.
  if (me === undefined) return true
  return (mode & 0o077) === 0 && (me === 0 || uid === me)
}
