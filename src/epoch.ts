/**
 * A database that went back in time. Revisions compare only within one epoch: a new one tells every
 * connector that what it holds may be later than what is true now, so it takes all of it anew
 * (security.md P3).
 */
import { eq } from 'drizzle-orm'
import { newId } from './credential.ts'
import type { Database } from './db/database.ts'
import { installation } from './db/schema.ts'
import { record } from './events.ts'

const system = { kind: 'system' } as const

/** Said with every such event, because nobody would think of it in that hour. */
const warning =
  'whatever was taken away after this copy was made stands again: grants revoked, sessions ended, users disabled, members removed'

/**
 * Begins a new epoch, with its event, in place of `old`; null: of whatever there is. False when
 * another process has already begun one. The event's number follows on those that are left.
 */
export async function beginEpoch(
  db: Database,
  old: string | null,
  now: Date,
  facts: Record<string, unknown>,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    const epoch = newId()
    const begun = await tx
      .update(installation)
      .set({ epoch })
      .where(old === null ? eq(installation.id, 1) : eq(installation.epoch, old))
      .returning()
    if (begun.length === 0) return false
    const detail = { ...facts, epoch, warning }
    await record(tx, system, now, { kind: 'database.restored', detail, destinations: null })
    return true
  })
}
