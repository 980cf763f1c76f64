/** Asks for many rows at once. */
import { type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'

/**
 * Whether a column is one of `ids`. However many there are, they are one parameter, where a list
 * of parameters has an end and costs its building.
 *
 * @throws for an id with a space in it: it would be taken for two, of which one may be somebody's.
 */
export function anyOf(column: PgColumn, ids: Iterable<string>): SQL {
  const all = [...ids]
  if (all.some((id) => id.includes(' '))) throw new Error('there is a space in an id')
  return sql`${column} = any(string_to_array(${all.join(' ')}, ' '))`
}
