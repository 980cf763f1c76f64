/**
 * PostgreSQL, by postgres.js: a pool for queries, and one connection that listens.
 *
 * Drizzle sends every query unnamed, so nothing here is a prepared statement that a migration or a
 * restore could make stale.
 */
import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type Sql } from 'postgres'
import { Failure } from '../wire/failure.ts'
import { log } from '../wire/log.ts'
import type { Store } from './database.ts'
import { Listener } from './listener.ts'
import * as schema from './schema.ts'

/** However many links there are: a constant number, and room for other servers (security.md O5). */
const poolSize = 10

const options = {
  max: poolSize,
  connect_timeout: 10,
  onnotice: () => {},
  // Never a standby, whose knowledge is of another time than it says.
  target_session_attrs: 'primary' as const,
  // The driver's own waits grow to twenty seconds, which a database that is back need not wait.
  backoff: () => 0.2 + Math.random() / 5,
  connection: {
    application_name: 'infra',
    // No request of ours takes so long; one that does holds a tenth of the pool.
    statement_timeout: 15_000,
    lock_timeout: 10_000,
    // A server that froze in the middle of a change holds the lock of events: not for long.
    idle_in_transaction_session_timeout: 15_000,
  },
}

export async function openPostgres(url: string): Promise<Store> {
  const pool = new Pool(url)
  // A wrong address or password is said now and not at the first request.
  try {
    await pool.client.unsafe('select 1')
  } catch (error) {
    await pool.close()
    throw error
  }
  const listener = new Listener(url, options, () => pool.replace())
  return {
    db: drizzle(pool.facade, { schema }),
    listen: (channel, heard) => listener.listen(channel, heard),
    isListening: () => listener.isListening,
    close: async () => {
      await listener.close()
      await pool.close()
    },
  }
}

/**
 * The connections for queries. They are replaced when the database has fallen silent, because the
 * driver waits for an answer for as long as TCP believes in the connection, and that is a quarter
 * of an hour: whoever waits is told now, and who comes later gets a new connection.
 */
class Pool {
  readonly #url: string
  client: Sql
  readonly facade: Sql

  constructor(url: string) {
    this.#url = url
    this.client = open(url)
    const current = (): Sql => this.client
    const { options: opened } = this.client
    const seen = {
      options: opened,
      unsafe: (...query: Parameters<Sql['unsafe']>) => current().unsafe(...query),
      begin: (...work: [never]) => current().begin(...work),
    }
    // All that drizzle asks of a client.
    this.facade = seen as unknown as Sql
  }

  replace(): void {
    log('error', 'the database does not answer, its connections are given up')
    const silent = this.client
    this.client = open(this.#url)
    silent.end({ timeout: 0 }).catch((error: unknown) => {
      log('warn', 'a connection to the database did not close', { error })
    })
  }

  async close(): Promise<void> {
    await this.client.end({ timeout: 5 })
  }
}

function open(url: string): Sql {
  const client = clientOf(url)
  // For its effect: it sets how this client reads and writes instants and JSON.
  drizzle(client)
  return client
}

/** @throws {Failure} `invalid`, without what could not be read: there may be a password in it. */
function clientOf(url: string): Sql {
  try {
    return postgres(url, options)
  } catch {
    const form = 'postgres://USER:PASSWORD@HOST/DATABASE, with what is special percent-encoded'
    throw new Failure('invalid', `DATABASE_URL can not be read, it must be like ${form}`)
  }
}
