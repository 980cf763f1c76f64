/** Asks for many rows at once. */
import { type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'

/**
 * Whether a column is one of `ids`, which are ours: without a space in them. However many there
 * are, they are one parameter, where a list of parameters has an end and costs its building.
 */
export function anyOf(column: PgColumn, ids: Iterable<string>): SQL {
  return sql`${column} = any(string_to_array(${[...ids].join(' ')}, ' '))`
}
