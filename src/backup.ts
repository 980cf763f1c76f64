/**
 * `infra server backup` and `infra server restore`: one file for both stores, and from one to the
 * other. Gzip, JSON lines: a head that says what it is, a line a row, and a last line without which
 * the file is not whole.
 *
 * What is secret in the file is hashed or sealed as it is in the database. The sealing key and the
 * CA are not in it, or the file alone would open everything.
 */
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { sql } from 'drizzle-orm'
import { z } from 'zod'
import { readEpoch } from './access.ts'
import { dropTables, isAlone, type Line, rowsOf, writeRows } from './db/copy.ts'
import type { Database } from './db/database.ts'
import { migrate, missing, type Migration, migrationsIn } from './db/migrate.ts'
import { migrations } from './db/migrations.ts'
import { installation } from './db/schema.ts'
import { beginEpoch } from './epoch.ts'
import { newest } from './events.ts'
import { isKeyOf } from './installation.ts'
import type { Sealer } from './seal.ts'
import { Failure } from './wire/failure.ts'
import { version } from './wire/version.ts'

const Head = z.object({
  infra: z.literal('backup'),
  format: z.literal(1),
  version: z.string(),
  at: z.iso.datetime(),
  epoch: z.string(),
  /** The number of the newest event in it. */
  revision: z.number().int().nonnegative(),
  migrations: z.array(z.object({ tag: z.string(), hash: z.string() })),
  /** Opened by the sealing key that fits, and by no other. */
  sealed: z.string(),
})
export type Head = z.infer<typeof Head>
const Row = z.object({ table: z.string(), row: z.record(z.string(), z.unknown()) })
const End = z.object({ end: z.literal(true), rows: z.number().int().nonnegative() })

/** Writes all there is at one instant to `file`, which must not be there yet; 0600. */
export async function backup(db: Database, file: string, now: Date): Promise<Head> {
  if (existsSync(file)) throw new Failure('conflict', `${file} is there already`)
  const partial = `${file}.partial`
  let head: Head | null = null
  const write = async (tx: Database): Promise<void> => {
    const written = (head = await headOf(tx, now))
    const lines = Readable.from(linesOf(tx, written))
    await pipeline(lines, createGzip(), createWriteStream(partial, { mode: 0o600, flags: 'wx' }))
  }
  try {
    await db.transaction(write, { isolationLevel: 'repeatable read', accessMode: 'read only' })
    renameSync(partial, file)
  } catch (error) {
    // One that is there belongs to another backup, or to one that was killed.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') rmSync(partial, { force: true })
    throw error
  }
  if (!head) throw new Error('a backup without a head')
  return head
}

async function headOf(tx: Database, now: Date): Promise<Head> {
  const [row] = await tx.select().from(installation)
  if (!row) throw new Failure('conflict', 'the database is empty')
  const applied = await migrationsIn(tx)
  // A newer program does not know all that an older one's tables hold.
  if (missing(migrations, applied).length > 0) {
    throw new Failure('conflict', 'the database is of an older version: start this server once')
  }
  return {
    ...{ infra: 'backup', format: 1, version, at: now.toISOString(), epoch: await readEpoch(tx) },
    revision: await newest(tx),
    migrations: [...applied].map(([tag, hash]) => ({ tag, hash })),
    sealed: row.sealed,
  }
}

async function* linesOf(tx: Database, head: Head): AsyncGenerator<string> {
  yield `${JSON.stringify(head)}\n`
  let rows = 0
  for await (const line of rowsOf(tx)) {
    rows += 1
    yield `${JSON.stringify(line)}\n`
  }
  yield `${JSON.stringify({ end: true, rows })}\n`
}

export type RestoreParts = { db: Database; sealer: Sealer; now: Date; replace: boolean }

/**
 * Puts what `file` holds in place of what the database holds, in a new epoch: all of it or nothing.
 * To be called while no server runs on the database.
 */
export async function restore(file: string, parts: RestoreParts): Promise<Head> {
  const { db, sealer, now, replace } = parts
  const lines = readLines(file)
  const head = await headIn(file, lines)
  if (!isKeyOf(sealer, head.sealed)) {
    const message =
      'the sealing key is not the one that the secrets in this backup were sealed with: put that one in its place'
    throw new Failure('invalid', message)
  }
  const level = levelOf(head)
  await db.transaction(async (tx) => {
    if (!(await isAlone(tx))) {
      throw new Failure('conflict', 'a server runs on this database: stop it first')
    }
    const replaced = await revisionIn(tx)
    if (replaced !== null && !replace) {
      const message = `the database holds ${replaced} events: with --replace, they and all else in it are replaced`
      throw new Failure('conflict', message)
    }
    await dropTables(tx)
    await migrate(tx, level)
    await writeAll(tx, file, lines)
    await migrate(tx)
    const facts = { copiedAt: head.at, revision: head.revision, replacedRevision: replaced }
    await beginEpoch(tx, null, now, facts)
  })
  return head
}

/** The migrations that the backup's rows fit. */
function levelOf({ migrations: had }: Head): Migration[] {
  const applied = new Map(had.map(({ tag, hash }) => [tag, hash]))
  try {
    missing(migrations, applied)
  } catch (cause) {
    throw new Failure('invalid', 'the backup is of another version of infra than this', { cause })
  }
  return migrations.filter(({ tag }) => applied.has(tag))
}

/** The newest event of a database that is in use; null: there is nothing to lose. */
async function revisionIn(tx: Database): Promise<number | null> {
  const [found] = await tx
    .select({ name: sql<string | null>`to_regclass('events')::text` })
    .from(sql`(select 1) one`)
  if (!found?.name) return null
  const revision = await newest(tx)
  return revision === 0 ? null : revision
}

async function writeAll(tx: Database, file: string, lines: AsyncIterator<unknown>): Promise<void> {
  let said: number | null = null
  async function* rows(): AsyncGenerator<Line> {
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      const row = Row.safeParse(next.value)
      if (row.success && said === null) yield row.data
      else said = endIn(file, next.value)
    }
  }
  const written = await writeRows(tx, rows())
  if (said !== written) throw broken(file)
}

function endIn(file: string, value: unknown): number {
  const end = End.safeParse(value)
  if (!end.success) throw broken(file)
  return end.data.rows
}

async function headIn(file: string, lines: AsyncIterator<unknown>): Promise<Head> {
  const first = await lines.next()
  const head = Head.safeParse(first.done ? null : first.value)
  if (!head.success) throw new Failure('invalid', `${file} is no backup of infra`)
  return head.data
}

/**
 * Each line as the JSON that it is. A file cut short says so here or by its missing end. Not by
 * `node:readline`, which also ends a line at U+2028, as JSON does not.
 */
async function* readLines(file: string): AsyncGenerator<unknown> {
  const unzipped = createGunzip()
  const read = pipeline(createReadStream(file), unzipped).catch((error: unknown) => error)
  try {
    let rest = ''
    for await (const text of unzipped.setEncoding('utf8')) {
      const lines = (rest + String(text)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield JSON.parse(line) as unknown
    }
    if (rest !== '') yield JSON.parse(rest) as unknown
  } catch (cause) {
    // What a caller throws does not come by here: a generator is told by `return`.
    throw broken(file, (await read) ?? cause)
  }
}

function broken(file: string, cause?: unknown): Failure {
  if ((cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    return new Failure('invalid', `there is no file ${file}`)
  }
  return new Failure('invalid', `${file} is not whole`, { cause })
}
