/**
 * The poll: the link's question, asked by HTTP. It gets the same answer, so a connector whose link
 * is down, or cannot be because WebSockets do not pass, is only later, and not wrong.
 */
import { z } from 'zod'
import { Access } from './access.ts'
import { Enforced, Hello, SeveredInAll, Unchanged } from './link.ts'
import { inQuery } from './shared.ts'

/** Which process asks, and what it holds and has enforced; nothing: it is to be told all. */
export const PollQuery = z.object({
  instance: Hello.shape.instance,
  version: Hello.shape.version,
  /** As in the link's hello: where no link gets through, this is how it is learnt. */
  endpoint: z.string().max(300).optional(),
  epoch: z.string().max(128).optional(),
  revision: inQuery(0).optional(),
  digest: z.string().max(128).optional(),
  /** What it holds proves that it is enforced; this, how many were cut, should the ack be lost. */
  severedInAll: inQuery(0).pipe(SeveredInAll).optional(),
})
export type PollQuery = z.output<typeof PollQuery>

/** Both say when the database was read for it: the lease is renewed by either. */
export const PollAnswer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('access'), at: z.iso.datetime(), access: Access }),
  Unchanged.extend({ kind: z.literal('unchanged') }),
])
export type PollAnswer = z.infer<typeof PollAnswer>

/** Access that came by the poll is enforced. */
export const PollAck = Enforced.extend({ instance: Hello.shape.instance })
export type PollAck = z.infer<typeof PollAck>
