import { z } from 'zod'
import { inQuery, Instant } from './shared.ts'

export const Actor = z.object({
  kind: z.enum(['user', 'connector', 'system']),
  id: z.string().nullable(),
  name: z.string(),
})
export type Actor = z.infer<typeof Actor>

/** Something that happened. `number` grows by exactly one, in the order of commits. */
export const Event = z.object({
  number: z.number().int().positive(),
  kind: z.string(),
  at: Instant,
  actor: Actor,
  detail: z.record(z.string(), z.unknown()),
  /** Ids of the destinations whose Access it may change; null: all of them. */
  destinations: z.array(z.string()).nullable(),
})
export type Event = z.infer<typeof Event>
export const Events = z.array(Event)

export const EventQuery = z.object({
  after: inQuery(0).default(0),
  limit: inQuery(1, 1000).default(500),
})
export type EventQuery = z.output<typeof EventQuery>
