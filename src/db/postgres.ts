/** PostgreSQL, by postgres.js: a pool for queries, and one connection that listens. */
import { drizzle } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import type { Store } from './database.ts'
import * as schema from './schema.ts'

export async function openPostgres(url: string): Promise<Store> {
  const client = postgres(url, { max: 10, connect_timeout: 10, onnotice: () => {} })
  // A wrong address or password is said now and not at the first request.
  await client`select 1`
  return {
    db: drizzle(client, { schema }),
    listen: async (channel, heard) => {
      // The third argument is called whenever listening begins: after a lost connection, too,
      // when what was notified in between is lost.
      const { unlisten } = await client.listen(channel, () => heard(), heard)
      return unlisten
    },
    close: () => client.end({ timeout: 5 }),
  }
}
