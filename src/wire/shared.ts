/** The few shapes that several nouns share. Instants travel as ISO strings in UTC. */
import { z } from 'zod'
import { Id } from './names.ts'

export const None = z.object({})
export type None = z.infer<typeof None>

export const ById = z.object({ id: Id })
export type ById = z.infer<typeof ById>

/**
 * A whole number in a query, where all is text: digits and nothing else. `Number` would read an
 * empty text as 0, and `0x10` and `1e2` as well.
 */
export function inQuery(minimum: number, maximum = Number.MAX_SAFE_INTEGER) {
  const whole = z.number().int().min(minimum).max(maximum)
  return z
    .preprocess((text) => (typeof text === 'string' ? digits(text) : text), whole)
    .meta({ type: 'integer', minimum, maximum })
}

function digits(text: string): number {
  return /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
}

export const Instant = z.iso.datetime()

/** The number of the event that a change was recorded as: what a receipt is asked for by. */
export const Changed = z.object({
  revision: z.number().int().nonnegative(),
  /** Ids of the destinations that it concerns: where a receipt can be asked for. Absent: not said. */
  destinations: z.array(Id).optional(),
})
export type Changed = z.infer<typeof Changed>
