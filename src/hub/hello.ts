/** What a connector says of itself when its link opens, recorded. */
import { eq, sql } from 'drizzle-orm'
import type { ConnectorActor } from '../call.ts'
import { builtOnce } from '../db/built.ts'
import type { Database } from '../db/database.ts'
import { destinations } from '../db/schema.ts'
import { record } from '../events.ts'
import { Endpoint } from '../wire/destinations.ts'
import { log } from '../wire/log.ts'

/**
 * The first endpoint that is reported takes effect at once. A different one waits for an
 * administrator: with a stolen key, somebody could otherwise lead everybody's kubectl to an address
 * of theirs and collect tokens (security.md P4).
 */
export function endpointFields(
  { endpoint, pendingEndpoint }: { endpoint: string | null; pendingEndpoint: string | null },
  reported: string | null,
): { endpoint: string } | { pendingEndpoint: string | null } | null {
  if (reported === null) return null
  if (endpoint === null) return { endpoint: reported }
  // What is reported is what stands: whatever waited is not asked for any more.
  if (reported === endpoint) return pendingEndpoint === null ? null : { pendingEndpoint: null }
  return reported === pendingEndpoint ? null : { pendingEndpoint: reported }
}

const endpointsOf = builtOnce((db) =>
  db
    .select({ endpoint: destinations.endpoint, pendingEndpoint: destinations.pendingEndpoint })
    .from(destinations)
    .where(eq(destinations.id, sql.placeholder('id')))
    .prepare('endpoints of a destination'),
)

/** Records the endpoint that a connector reports. */
export async function recordEndpoint(
  db: Database,
  actor: ConnectorActor,
  now: Date,
  reported: string | null,
): Promise<void> {
  if (reported === null) return
  if (!Endpoint.safeParse(reported).success) {
    log('warn', 'a connector reported an endpoint that is none', {
      destination: actor.destinationName,
    })
    return
  }
  const [known] = await endpointsOf(db).execute({ id: actor.destinationId })
  // As a rule it is what was said before: that costs one reading, and no lock.
  if (!known || !endpointFields(known, reported)) return
  const fields = await db.transaction(async (tx) => {
    const here = eq(destinations.id, actor.destinationId)
    const [row] = await tx.select().from(destinations).where(here).for('update')
    const changed = row ? endpointFields(row, reported) : null
    if (!row || !changed) return null
    await tx.update(destinations).set(changed).where(here)
    const destination = { id: row.id, name: row.name }
    const detail = { destination, ...changed }
    // Who may enter does not change by it.
    await record(tx, actor, now, { kind: 'destination.updated', detail, destinations: [] })
    return changed
  })
  if (fields && 'pendingEndpoint' in fields && fields.pendingEndpoint !== null) {
    log('warn', 'another endpoint waits for the consent of an administrator', {
      destination: actor.destinationName,
      endpoint: fields.pendingEndpoint,
    })
  }
}
