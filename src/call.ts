/** What a row of the route table is, and what a handler is given. */
import type { z } from 'zod'
import type { Database } from './db/database.ts'
import type { Sealer } from './seal.ts'
import type { Authority } from './authority.ts'
import type { Settings } from './settings.ts'
import type { Fetch } from './wire/client.ts'
import type { ConnectorInstance, LinkState, Receipt } from './wire/destinations.ts'
import { Failure } from './wire/failure.ts'
import type { PollAck, PollAnswer, PollQuery } from './wire/poll.ts'

/** Who sends a request: what `admit.ts` made of the credential that came with it. */
export type Actor =
  | { kind: 'stranger' }
  | {
      kind: 'user'
      id: string
      email: string
      isAdmin: boolean
      /** The session or access key that proved it; its id is the `sid` of tokens. */
      credential: { kind: 'session' | 'key'; id: string; expiresAt: Date | null }
    }
  | { kind: 'connector'; destinationId: string; destinationName: string; keyId: string }
  | { kind: 'system' }

export type UserActor = Extract<Actor, { kind: 'user' }>
export type ConnectorActor = Extract<Actor, { kind: 'connector' }>

/** What the hub knows of links and polls, for the nouns that may not know the hub. */
export type Links = {
  linked(destinationId: string): number
  state(destinationId: string): LinkState
  /** What the linked instances find wrong in their cluster. */
  problems(destinationId: string): string[]
  /** Each instance that is heard of, or may still let somebody in. */
  instances(destinationId: string): Promise<ConnectorInstance[]>
  /** Answers a poll as a link would. */
  answer(actor: ConnectorActor, asked: PollQuery): Promise<PollAnswer>
  acknowledge(actor: ConnectorActor, ack: PollAck): void
  /** Resolves when every instance that is heard of has enforced `revision`, or after `waitMs`. */
  enforced(destinationId: string, revision: number, waitMs: number): Promise<Receipt['connectors']>
}

/** All that a handler may know of the outside. Nothing is global. */
export type Call = {
  db: Database
  actor: Actor
  /** The caller's address: of the socket, or what a trusted proxy said. */
  address: string
  now: Date
  settings: Settings
  sealer: Sealer
  authority: Authority
  links: Links
  /** The network towards providers: bounded, https only unless loudly allowed. */
  providerFetch: Fetch
}

/** Who may call a route. A connector's key opens the connector's routes and nothing else. */
export type Who = 'anyone' | 'user' | 'admin' | 'connector'
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export type Row = {
  method: Method
  path: string
  who: Who
  takes: z.ZodType
  gives: z.ZodType
  run(call: Call, input: unknown): Promise<unknown>
}

/**
 * One line of the table: path, authorisation, validation, reply and code. `row` alone touches the
 * schema library's errors: what the caller sent wrong is `invalid`, while a schema that fails on
 * our own answer is a bug and stays a 500.
 */
export function row<Takes extends z.ZodType, Gives extends z.ZodType>(
  method: Method,
  path: string,
  who: Who,
  takes: Takes,
  gives: Gives,
  handle: (call: Call, input: z.output<Takes>) => Promise<z.input<Gives>>,
): Row {
  const run = async (call: Call, input: unknown): Promise<unknown> => {
    const read = takes.safeParse(input)
    if (!read.success) throw new Failure('invalid', firstIssue(read.error))
    return gives.parse(await handle(call, read.data))
  }
  return { method, path, who, takes, gives, run }
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  if (!issue) return 'the request has another shape'
  const where = issue.path.map(String).join('.')
  const said = issue.message.charAt(0).toLowerCase() + issue.message.slice(1)
  return where === '' ? said : `${where}: ${said}`
}

/** The user who calls. A row that admits users only has one; anything else is a bug. */
export function userOf({ actor }: Call): UserActor {
  if (actor.kind !== 'user') throw new Error(`a ${actor.kind} reached a route for users`)
  return actor
}

/** The connector that calls, likewise. */
export function connectorOf({ actor }: Call): ConnectorActor {
  if (actor.kind !== 'connector') throw new Error(`a ${actor.kind} reached a connector's route`)
  return actor
}
