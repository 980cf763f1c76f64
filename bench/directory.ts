/**
 * A directory of any size, written into PostgreSQL by the product's own schema: what would take an
 * hour by the API takes seconds.
 */
import postgres from 'postgres'
import { formatCredential, hashSecret, newCredential, newId } from '../src/credential.ts'
import type { Database } from '../src/db/database.ts'
import { migrate } from '../src/db/migrate.ts'
import { openPostgres } from '../src/db/postgres.ts'
import * as t from '../src/db/schema.ts'
import { freshDatabase, type Postgres, startPostgres } from '../test/postgres.ts'
import type { Scope } from './harness.ts'

export type Directory = {
  url: string
  destinations: { id: string; name: string; accessKey: string }[]
  /** The one who is revoked: by this group alone she is let in, everywhere. */
  ana: { id: string; email: string; group: string; credential: string }
  others: { id: string; email: string }[]
}

export type Size = { destinations: number; users: number; grants: number }

const batch = 1000

/** A PostgreSQL that remembers when each transaction committed. */
export async function benchPostgres(scope: Scope): Promise<Postgres> {
  const server = await startPostgres()
  scope.later(() => server.end())
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  await client.unsafe('alter system set track_commit_timestamp = on')
  await client.unsafe("alter system set shared_buffers = '256MB'")
  await client.end()
  await server.stop()
  await server.start()
  return server
}

export async function makeDirectory(server: Postgres, size: Size): Promise<Directory> {
  const { url } = await freshDatabase(server.url)
  const store = await openPostgres(url)
  try {
    await migrate(store.db)
    return { url, ...(await fill(store.db, size)) }
  } finally {
    await store.close()
  }
}

async function fill(db: Database, size: Size): Promise<Omit<Directory, 'url'>> {
  const now = new Date()
  const created = { createdAt: now }
  const [destinations, ana] = [await makeDestinations(db, size, now), await makeAna(db, now)]
  const others = Array.from({ length: size.users - 1 }, (_, at) => ({
    id: newId(),
    email: `user-${at}@example.com`,
  }))
  await inBatches(others, (some) =>
    db.insert(t.users).values(some.map((user) => ({ ...user, ...created }))),
  )
  const everywhere = destinations.map(({ id }) => ({ destinationId: id, groupId: ana.group }))
  await inBatches(everywhere, (some) =>
    db
      .insert(t.grants)
      .values(some.map((grant) => ({ id: newId(), role: 'view', ...grant, ...created }))),
  )
  const grants = Array.from({ length: size.grants }, (_, at) => ({
    id: newId(),
    userId: others[at % others.length]?.id ?? '',
    destinationId: destinations[(at * 7919) % destinations.length]?.id ?? '',
    role: 'edit',
    namespace: `team-${Math.floor(at / others.length)}`,
    ...created,
  }))
  await inBatches(grants, (some) => db.insert(t.grants).values(some))
  return { destinations, ana, others }
}

async function makeDestinations(db: Database, size: Size, now: Date) {
  const made = Array.from({ length: size.destinations }, (_, at) => {
    const credential = newCredential()
    return { id: newId(), name: `cluster-${at}`, credential }
  })
  await inBatches(made, async (some) => {
    // With an endpoint, as each has that was linked before.
    const rows = some.map(({ id, name }) => ({
      id,
      name,
      endpoint: `${name}:6443`,
      createdAt: now,
    }))
    await db.insert(t.destinations).values(rows)
    await db.insert(t.accessKeys).values(
      some.map(({ id, name, credential }) => ({
        ...{ id: credential.id, name, secretHash: hashSecret(credential.secret) },
        ...{ destinationId: id, createdAt: now },
      })),
    )
  })
  return made.map(({ id, name, credential }) => ({
    ...{ id, name, accessKey: formatCredential(credential) },
  }))
}

async function makeAna(db: Database, now: Date): Promise<Directory['ana']> {
  const [id, group, made] = [newId(), newId(), newCredential()]
  const email = 'ana@example.com'
  await db.insert(t.users).values({ id, email, createdAt: now })
  await db.insert(t.groups).values({ id: group, name: 'ops', createdAt: now })
  await db.insert(t.memberships).values({ groupId: group, userId: id })
  const expiresAt = new Date(now.getTime() + 86_400_000)
  await db.insert(t.sessions).values({
    ...{ id: made.id, secretHash: hashSecret(made.secret), userId: id },
    ...{ createdAt: now, lastUsedAt: now, expiresAt },
  })
  return { id, email, group, credential: formatCredential(made) }
}

async function inBatches<T>(rows: T[], write: (some: T[]) => PromiseLike<unknown>): Promise<void> {
  for (let at = 0; at < rows.length; at += batch) await write(rows.slice(at, at + batch))
}

/** When the event of this number was committed, in ms. */
export async function committedAt(url: string, number: number): Promise<number> {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  try {
    const [row] = await client`
      select extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000 as at
      from events where number = ${number}`
    return Number(row?.['at'])
  } finally {
    await client.end()
  }
}
