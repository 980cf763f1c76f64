/** Spans of time as flags say them. */
import { parseDuration } from '../../src/wire/duration.ts'
import { Misuse } from '../hint.ts'

/** The span that a flag says, in seconds; null where it is not given. */
export function secondsOf(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null
  const seconds = parseDuration(text)
  if (seconds === null) throw new Misuse(`--${flag} must be a duration such as 30s, 5m, 12h or 30d`)
  return seconds
}

/** The instant that lies a flag's span after now; null where it is not given: without end. */
export function instantAfter(flag: string, text: string | undefined, now: number): string | null {
  const seconds = secondsOf(flag, text)
  return seconds === null ? null : new Date(now + seconds * 1000).toISOString()
}
