/**
 * The answer to a poll. It goes a way of its own to the same truth: one reading of the tables, and
 * nothing of what the hub keeps or is woken by. So a hub that has lost its listener, or a link that
 * has fallen behind, is made good by the next poll.
 */
import { readAccess } from '../access.ts'
import type { ConnectorActor } from '../call.ts'
import type { Database } from '../db/database.ts'
import { fromDatabase } from '../db/errors.ts'
import { recordEndpoint } from './hello.ts'
import type { Receipt } from './receipt.ts'
import type { Receipts } from './receipts.ts'
import type { Settings } from '../settings.ts'
import type { Access } from '../wire/access.ts'
import { Ledger } from '../wire/ledger.ts'
import { Failure } from '../wire/failure.ts'
import { log } from '../wire/log.ts'
import type { PollAnswer, PollQuery } from '../wire/poll.ts'
import type { LinkParts } from './link.ts'
import type { Marks } from './marks.ts'

export type PollParts = {
  db: Database
  settings: Pick<Settings, 'url' | 'leaseSeconds'>
  clock: () => Date
  receipts: Receipts
  marks: Marks
  /** The connector knows a later revision than was read; false where it is not believed. */
  ahead: LinkParts['ahead']
}

/**
 * @throws {Failure} `unauthenticated` when the destination went since the key was judged;
 * `unavailable` when this connector claims to know of events that never were, and is not believed.
 */
export async function answerPoll(
  parts: PollParts,
  actor: ConnectorActor,
  asked: PollQuery,
): Promise<PollAnswer> {
  const { db, clock, receipts, marks } = parts
  // Before the reading: what was changed after it is not known to have been read.
  const at = clock()
  const access = await readFor(parts, actor, asked, at)
  const receipt = receipts.polled(actor.destinationId, asked.instance, asked)
  await reportEndpoint(db, actor, receipt, at, asked.endpoint)
  const answer = answerOf(access, asked, at)
  if (answer.kind === 'access') receipt.sent(access)
  else receipts.severed(receipt.proved(access, asked.severedInAll))
  receipt.beaten(at)
  await marks.heard(actor, receipt, 'poll')
  return answer
}

/** Whoever knows a later revision of this very epoch saw what the database has lost since. */
async function readFor(
  { db, settings, ahead }: PollParts,
  actor: ConnectorActor,
  asked: PollQuery,
  at: Date,
): Promise<Access> {
  const read = async (): Promise<Access> => {
    const access = await readAccess(db, actor.destinationId, { now: at, settings })
    if (access) return access
    throw new Failure('unauthenticated', 'there is no such destination any more')
  }
  const access = await read()
  const { epoch, revision } = access
  const known = asked.revision ?? 0
  if (asked.epoch !== epoch || known <= revision) return access
  if (await ahead(actor, known, { at, epoch, revision })) return read()
  throw new Failure('unavailable', 'the database has lost events that this connector knows of')
}

/** All of Access, or that what the connector holds is still all there is. */
export function answerOf(access: Access, asked: PollQuery, at: Date): PollAnswer {
  const { epoch, revision } = access
  const isHeld = asked.epoch === epoch && asked.digest === new Ledger(access).digest
  if (!isHeld || asked.revision === undefined) {
    return { kind: 'access', at: at.toISOString(), access }
  }
  return { kind: 'unchanged', at: at.toISOString(), epoch, revision, since: asked.revision }
}

/** Once for each instance, and when it says another. */
async function reportEndpoint(
  db: Database,
  actor: ConnectorActor,
  receipt: Receipt,
  now: Date,
  endpoint: string | undefined,
): Promise<void> {
  if (endpoint === undefined || receipt.recordedEndpoint === endpoint) return
  try {
    await recordEndpoint(db, actor, now, endpoint)
    receipt.recordedEndpoint = endpoint
  } catch (thrown) {
    const facts = { destination: actor.destinationName, error: fromDatabase(thrown) }
    log('error', 'an endpoint was not recorded', facts)
  }
}
