/** Spans of time as people write them: `15s`, `5m`, `12h`, `30d`. */
import { z } from 'zod'

const secondsIn = { s: 1, m: 60, h: 3600, d: 86_400 } as const
const written = /^([1-9][0-9]{0,8})([smhd])$/

/**
 * The seconds that `text` says, or null when it is not a duration.
 *
 * @example
 * parseDuration('5m') // 300
 */
export function parseDuration(text: string): number | null {
  const match = written.exec(text)
  if (!match) return null
  return Number(match[1]) * secondsIn[match[2] as keyof typeof secondsIn]
}

/**
 * `seconds` as a person would write them: the largest unit that says it exactly.
 *
 * @example
 * formatDuration(300) // '5m'
 */
export function formatDuration(seconds: number): string {
  for (const unit of ['d', 'h', 'm'] as const) {
    if (seconds > 0 && seconds % secondsIn[unit] === 0) return `${seconds / secondsIn[unit]}${unit}`
  }
  return `${seconds}s`
}

/** A duration as it stands in a setting, a flag or a request; gives whole seconds. */
export const Duration = z.string().transform((text, context) => {
  const seconds = parseDuration(text)
  if (seconds !== null) return seconds
  context.addIssue({ code: 'custom', message: 'must be a duration such as 15s, 5m, 12h or 30d' })
  return z.NEVER
})
