/** Destinations: the clusters that access is given to, each with a connector beside it. */
import { asc, eq, isNotNull, or } from 'drizzle-orm'
import { type Call, connectorOf } from './call.ts'
import { newId } from './credential.ts'
import type { Database } from './db/database.ts'
import { destinations } from './db/schema.ts'
import { record } from './events.ts'
import { insertKey } from './keys.ts'
import type {
  Certificate,
  CreatedDestination,
  Destination,
  DestinationEdit,
  DestinationRef,
  EditedDestination,
  NewDestination,
  Receipt,
  ShownDestination,
} from './wire/destinations.ts'
import { Failure } from './wire/failure.ts'
import type { PollAck, PollAnswer, PollQuery } from './wire/poll.ts'
import type { Changed, None } from './wire/shared.ts'

export type DestinationRow = typeof destinations.$inferSelect

export async function listDestinations(call: Call): Promise<Destination[]> {
  const rows = await call.db.select().from(destinations).orderBy(asc(destinations.name))
  return rows.map((row) => toWire(row, call))
}

export async function getDestination(
  call: Call,
  { destination }: DestinationRef,
): Promise<ShownDestination> {
  const row = await findDestination(call.db, destination)
  return { ...toWire(row, call), connectors: await call.links.instances(row.id) }
}

/**
 * Makes a destination and the access key of its connector, shown this once.
 *
 * @throws {Failure} `conflict` when the name is taken.
 */
export async function createDestination(
  call: Call,
  { name }: NewDestination,
): Promise<CreatedDestination> {
  const { db, actor, now } = call
  return db.transaction(async (tx) => {
    const [row] = await tx
      .insert(destinations)
      .values({ id: newId(), name, createdAt: now })
      .returning()
    if (!row) throw new Error('a destination was not written')
    const owner = { userId: null, destinationId: row.id, name }
    const { accessKey } = await insertKey(tx, `connector ${row.id}`, owner, null, now)
    const revision = await record(tx, actor, now, {
      kind: 'destination.created',
      detail: { destination: { id: row.id, name } },
      destinations: [row.id],
    })
    return { ...toWire(row, call), accessKey, revision }
  })
}

/** Changes the lease, what its end does, or consents to an endpoint. @throws {Failure} `not_found` */
export async function updateDestination(
  call: Call,
  { destination: ref, ...edit }: DestinationEdit,
): Promise<EditedDestination> {
  const { db, actor, now } = call
  return db.transaction(async (tx) => {
    const found = await findDestination(tx, ref)
    const fields = { ...edit, ...(edit.endpoint === undefined ? {} : { pendingEndpoint: null }) }
    if (Object.keys(fields).length === 0)
      throw new Failure('invalid', 'nothing to change was given')
    const [row] = await tx
      .update(destinations)
      .set(fields)
      .where(eq(destinations.id, found.id))
      .returning()
    if (!row) throw new Error('a destination vanished under its own transaction')
    const revision = await record(tx, actor, now, {
      kind: 'destination.updated',
      detail: { destination: { id: row.id, name: row.name }, ...edit },
      destinations: [row.id],
    })
    return { ...toWire(row, call), revision }
  })
}

/** Takes its grants and its connector's keys with it. @throws {Failure} `not_found` */
export async function deleteDestination(
  { db, actor, now }: Call,
  { destination: ref }: DestinationRef,
): Promise<Changed> {
  return db.transaction(async (tx) => {
    const { id, name } = await findDestination(tx, ref)
    const gone = await tx.delete(destinations).where(eq(destinations.id, id)).returning()
    if (gone.length === 0) throw new Failure('not_found', `there is no destination ${name}`)
    const revision = await record(tx, actor, now, {
      kind: 'destination.deleted',
      detail: { destination: { id, name } },
      destinations: [id],
    })
    return { revision }
  })
}

/** Whether a revision has been enforced by the connectors of a destination. */
export async function receiptOf(
  { db, links }: Call,
  {
    destination: ref,
    revision,
    waitSeconds,
  }: { destination: string; revision: number; waitSeconds: number },
): Promise<Receipt> {
  const { id, name, onLeaseEnd } = await findDestination(db, ref)
  const connectors = await links.enforced(id, revision, waitSeconds * 1000)
  const heard = connectors.filter(({ link }) => link !== 'silent')
  const enforced = heard.length > 0 && heard.every(({ enforcedAt }) => enforcedAt !== null)
  return { destination: { id, name }, revision, enforced, onLeaseEnd, connectors }
}

/** What a link would say, for a connector that asks by HTTP. */
export async function pollAccess(call: Call, asked: PollQuery): Promise<PollAnswer> {
  return call.links.answer(connectorOf(call), asked)
}

/** A connector has enforced what it was told by the poll. */
export async function acknowledgeAccess(call: Call, ack: PollAck): Promise<None> {
  call.links.acknowledge(connectorOf(call), ack)
  return {}
}

/** A serving certificate for the connector that asks, in the name of its destination alone. */
export async function certify(call: Call, { csr }: { csr: string }): Promise<Certificate> {
  const { destinationId } = connectorOf(call)
  const { certificate, expiresAt } = await call.authority.certifyConnector(csr, destinationId)
  return { certificate, expiresAt: expiresAt.toISOString() }
}

/**
 * Says that something is wrong in the cluster, or that nothing is any more; nothing, where that
 * was said last.
 */
export async function recordTrouble(
  db: Database,
  destination: { id: string; name: string },
  now: Date,
  problems: string[],
): Promise<void> {
  const isTroubled = problems.length > 0
  const here = eq(destinations.id, destination.id)
  await db.transaction(async (tx) => {
    const [was] = await tx.select().from(destinations).where(here).for('update')
    const since = was?.troubledAt ?? null
    if (!was || (since !== null) === isTroubled) return
    await tx
      .update(destinations)
      .set({ troubledAt: isTroubled ? now : null })
      .where(here)
    // Who may enter does not change by it.
    await record(tx, { kind: 'system' }, now, {
      kind: isTroubled ? 'destination.troubled' : 'destination.recovered',
      detail: { destination, ...(since ? { since: since.toISOString() } : { problems }) },
      destinations: [],
    })
  })
}

/** Of which destinations it was said last that something is wrong. */
export async function troubledDestinations(db: Database): Promise<string[]> {
  const isTroubled = isNotNull(destinations.troubledAt)
  const rows = await db.select({ id: destinations.id }).from(destinations).where(isTroubled)
  return rows.map(({ id }) => id)
}

/** A destination by id or by name. @throws {Failure} `not_found` */
export async function findDestination(tx: Database, ref: string): Promise<DestinationRow> {
  const [row] = await tx
    .select()
    .from(destinations)
    .where(or(eq(destinations.id, ref), eq(destinations.name, ref)))
  if (!row) throw new Failure('not_found', `there is no destination ${JSON.stringify(ref)}`)
  return row
}

function toWire(row: DestinationRow, { settings, links }: Call): Destination {
  return {
    id: row.id,
    name: row.name,
    endpoint: row.endpoint,
    pendingEndpoint: row.pendingEndpoint,
    leaseSeconds: row.leaseSeconds ?? settings.leaseSeconds,
    onLeaseEnd: row.onLeaseEnd,
    linked: links.linked(row.id),
    link: links.state(row.id),
    problems: links.problems(row.id),
    lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
  }
}
