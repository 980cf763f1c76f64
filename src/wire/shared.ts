/** The few shapes that several nouns share. Instants travel as ISO strings in UTC. */
import { z } from 'zod'
import { Id } from './names.ts'

export const None = z.object({})
export type None = z.infer<typeof None>

export const ById = z.object({ id: Id })
export type ById = z.infer<typeof ById>

export const Instant = z.iso.datetime()

/** The number of the event that a change was recorded as: what a receipt is asked for by. */
export const Changed = z.object({
  revision: z.number().int().nonnegative(),
  /** Ids of the destinations that it concerns: where a receipt can be asked for. Absent: not said. */
  destinations: z.array(Id).optional(),
})
export type Changed = z.infer<typeof Changed>
