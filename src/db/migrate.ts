/**
 * Brings a database to the schema of this program: the same call for both stores. The migrations
 * are text inside the program (`migrations.ts`), so that the one executable needs no folder.
 */
import { createHash } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { Database } from './database.ts'
import { migrations } from './migrations.ts'

/** Any number, as long as nothing else in this database locks by it. */
const lockKey = 4_772_000

export type Migration = { tag: string; text: string }

/**
 * Applies what is missing, in one transaction under a lock: replicas that start together migrate
 * once, and a migration that fails leaves nothing behind.
 *
 * Refuses a database that knows migrations which this program does not: it belongs to a newer one.
 */
export async function migrate(
  db: Database,
  known: readonly Migration[] = migrations,
): Promise<void> {
  await db.transaction(async (tx) => {
    // Another replica may be migrating, and a large table takes its time.
    await tx.execute(sql`select set_config('statement_timeout', '0', true),
      set_config('lock_timeout', '0', true)`)
    await tx.execute(sql`select pg_advisory_xact_lock(${lockKey})`)
    await tx.execute(sql`create table if not exists migrations (
      tag text primary key, hash text not null, applied_at timestamptz not null default now())`)
    const applied = await migrationsIn(tx)
    for (const migration of missing(known, applied)) await apply(tx, migration)
  })
}

/** What is known and not applied; both must agree on all before. */
export function missing(
  known: readonly Migration[],
  applied: ReadonlyMap<string, string>,
): Migration[] {
  const tags = new Set(known.map(({ tag }) => tag))
  const newer = [...applied.keys()].find((tag) => !tags.has(tag))
  if (newer !== undefined) {
    throw new Error(`the database was migrated by a newer version of infra (${newer})`)
  }
  const altered = known.find((one) => (applied.get(one.tag) ?? hashOf(one)) !== hashOf(one))
  if (altered) throw new Error(`the migration ${altered.tag} is not the one that was applied`)
  return known.filter(({ tag }) => !applied.has(tag))
}

/** The tag and hash of each that was applied. */
export async function migrationsIn(tx: Database): Promise<Map<string, string>> {
  const found = await tx
    .select({ tag: sql<string>`tag`, hash: sql<string>`hash` })
    .from(sql`migrations`)
  return new Map(found.map(({ tag, hash }) => [tag, hash]))
}

async function apply(tx: Database, migration: Migration): Promise<void> {
  for (const statement of migration.text.split('--> statement-breakpoint')) {
    await tx.execute(sql.raw(statement))
  }
  const hash = hashOf(migration)
  await tx.execute(sql`insert into migrations (tag, hash) values (${migration.tag}, ${hash})`)
}

function hashOf({ text }: Migration): string {
  return createHash('sha256').update(text).digest('hex')
}
