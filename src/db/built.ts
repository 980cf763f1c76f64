/** Queries that are asked so often that building their SQL anew would cost more than asking. */
import type { Database } from './database.ts'

/**
 * Builds a query once for each database, with `sql.placeholder` for what differs. To the database
 * it is a query like any other: nothing is prepared there that a migration could make stale.
 */
export function builtOnce<Query>(build: (db: Database) => Query): (db: Database) => Query {
  const built = new WeakMap<Database, Query>()
  return (db) => {
    const query = built.get(db) ?? build(db)
    built.set(db, query)
    return query
  }
}
