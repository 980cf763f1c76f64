/**
 * All rows of all tables as lines of text, and back: the same for both stores, so that a copy of
 * one can become the other. PostgreSQL itself writes and reads each row as JSON, so a column that
 * is added needs nothing here.
 */
import { is, sql } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import type { Database } from './database.ts'
import { runningLock } from './listener.ts'
import * as schema from './schema.ts'

const batch = 500

export type Line = { table: string; row: unknown }

/** Every row, each table after those that it refers to. To be called within one snapshot. */
export async function* rowsOf(tx: Database): AsyncGenerator<Line> {
  for (const table of tablesInOrder()) {
    const name = sql.identifier(table)
    await tx.execute(
      sql`declare copied no scroll cursor for select to_jsonb(t)::text as row from ${name} t`,
    )
    for (;;) {
      const rows = rowsIn(await tx.execute(sql`fetch ${sql.raw(String(batch))} from copied`))
      for (const { row } of rows) yield { table, row: JSON.parse(row) as unknown }
      if (rows.length < batch) break
    }
    await tx.execute(sql`close copied`)
  }
}

/** Writes rows as they come; whatever a table refers to must have come before. Gives how many. */
export async function writeRows(tx: Database, lines: AsyncIterable<Line>): Promise<number> {
  let table = ''
  let rows: unknown[] = []
  let written = 0
  const write = async (): Promise<void> => {
    if (rows.length === 0) return
    const name = sql.identifier(table)
    const text = JSON.stringify(rows)
    await tx.execute(sql`insert into ${name}
      select * from jsonb_populate_recordset(null::${name}, ${text}::text::jsonb)`)
    written += rows.length
    rows = []
  }
  for await (const line of lines) {
    if (line.table !== table || rows.length >= batch) await write()
    table = line.table
    rows.push(line.row)
  }
  await write()
  return written
}

/** Whether no server runs on this database, nor will one start before this transaction ends. */
export async function isAlone(tx: Database): Promise<boolean> {
  const [row] = await tx
    .select({ alone: sql<boolean>`pg_try_advisory_xact_lock(${sql.raw(String(runningLock))})` })
    .from(sql`(select 1) one`)
  return row?.alone === true
}

/** Drops what we made and nothing else. */
export async function dropTables(tx: Database): Promise<void> {
  for (const table of [...tablesInOrder().toReversed(), 'migrations']) {
    await tx.execute(sql`drop table if exists ${sql.identifier(table)} cascade`)
  }
}

/** Each table after those that its foreign keys name. */
function tablesInOrder(): string[] {
  const tables = Object.values(schema).filter((each) => is(each, PgTable))
  const configs = tables.map((table) => getTableConfig(table))
  const ordered = new Set<string>()
  const place = (name: string): void => {
    const config = configs.find((one) => one.name === name)
    if (!config || ordered.has(name)) return
    const refers = config.foreignKeys.map(
      (key) => getTableConfig(key.reference().foreignTable).name,
    )
    for (const other of refers) if (other !== name) place(other)
    ordered.add(name)
  }
  for (const { name } of configs) place(name)
  return [...ordered]
}

/** The two drivers give the same rows in different wrappings. */
function rowsIn(result: unknown): { row: string }[] {
  const rows = Array.isArray(result) ? result : (result as { rows: unknown }).rows
  return rows as { row: string }[]
}
