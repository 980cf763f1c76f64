import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import type * as schema from './schema.ts'

/** PostgreSQL, PGlite, or an open transaction of either: the code above cannot tell. */
export type Database = PgDatabase<PgQueryResultHKT, typeof schema>

/** A database held open, with the one thing drizzle does not give: to hear a NOTIFY. */
export type Store = {
  db: Database
  /**
   * Calls `heard` after each commit that notified `channel`, and also when a lost connection is
   * back: what was said in between is lost, so whoever listens looks again.
   */
  listen(channel: string, heard: () => void): Promise<() => Promise<void>>
  /** Whether what is notified now would be heard. While it is not, nothing renews a lease. */
  isListening(): boolean
  close(): Promise<void>
}
