/**
 * What is said on the link, the WebSocket from a connector to the server. JSON text frames.
 *
 * State crosses, not commands: granting, revoking, a deleted user and a changed role all arrive as
 * new Access, or as what is new of it. The connector's access key travels in the `Authorization` header of the upgrade, and
 * says which destination the link is for.
 */
import { z } from 'zod'
import { Access, Delta } from './access.ts'
import { fitsHeader } from './names.ts'

const Revision = z.number().int().nonnegative()

/** A report is a message like the others, and must fit into one. */
export const maxProblems = 50
export const maxProblemLength = 500

/**
 * How many streams this process has said that it cut, from its start up to and with this word:
 * whichever of its words were lost, or came by two ways, none is missed and none counted twice.
 * Connectors from before this was said do not say it.
 */
export const SeveredInAll = z.number().int().nonnegative()

/** First word of a connector: which process it is, and the last Access that it knows. */
export const Hello = z.object({
  kind: z.literal('hello'),
  /** Tells replicas of one connector apart; new at every start. */
  instance: z.string().max(128).regex(fitsHeader),
  version: z.string().max(64),
  epoch: z.string().nullable(),
  revision: Revision.nullable(),
  /** `host:port` that kubectl reaches this connector by, where it knows. */
  endpoint: z.string().max(300).nullable(),
})
export type Hello = z.infer<typeof Hello>

/** Asks for a beat. The lease counts from when this was sent. */
export const Ping = z.object({ kind: z.literal('ping'), id: z.number().int().nonnegative() })

/** Access of this revision is enforced: everything it does not let in was severed. */
export const Enforced = z.object({
  epoch: z.string(),
  revision: Revision,
  /**
   * How many streams were cut since the last of these: to enforce it, and before it by the clock,
   * which cuts what expires without waiting for the server's word.
   */
  severed: z.number().int().nonnegative(),
  severedInAll: SeveredInAll.optional(),
})
export type Enforced = z.infer<typeof Enforced>

/**
 * Said for what came by the link, and for what came by the poll as well: then the revision is one
 * that the link never sent, and the server learns that the link has fallen behind.
 */
export const Ack = Enforced.extend({ kind: z.literal('ack') })
export type Ack = z.infer<typeof Ack>

/** All that the connector finds wrong in its cluster, a sentence each; what it said before is over. */
export const Report = z.object({
  kind: z.literal('report'),
  problems: z.array(z.string().max(maxProblemLength)).max(maxProblems),
})

export const FromConnector = z.discriminatedUnion('kind', [Hello, Ping, Ack, Report])
export type FromConnector = z.infer<typeof FromConnector>

/**
 * The server read its database at `at` (server time) while the newest event was `revision`, and
 * the Access of revision `since` is still all there is. Only a connector that holds that Access
 * renews its lease by it: knowledge renews, mere contact does not.
 */
export const Unchanged = z.object({
  at: z.iso.datetime(),
  epoch: z.string(),
  revision: Revision,
  since: Revision,
})
export type Unchanged = z.infer<typeof Unchanged>

/** Answers a ping. */
export const Beat = Unchanged.extend({
  kind: z.literal('beat'),
  id: z.number().int().nonnegative(),
  /** Of the Access of revision `since` (ledger.ts): whoever holds another has lost the thread. */
  digest: z.string().max(128).optional(),
})
export type Beat = z.infer<typeof Beat>

export const FromServer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('access'), access: Access }),
  z.object({ kind: z.literal('delta'), delta: Delta }),
  Beat,
])
export type FromServer = z.infer<typeof FromServer>

/** What the other end said; null: a message of another shape. */
export function fromConnector(text: string): FromConnector | null {
  return parsed(FromConnector, text)
}

export function fromServer(text: string): FromServer | null {
  return parsed(FromServer, text)
}

function parsed<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    const read = schema.safeParse(JSON.parse(text))
    return read.success ? read.data : null
  } catch {
    return null
  }
}
