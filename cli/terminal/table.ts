/** Data as people read it, in columns, and as programs do, in JSON. */
import { printable } from '../../src/wire/names.ts'
import type { Terminal } from './terminal.ts'

export type Format = 'table' | 'json'
export type Columns<T> = Record<string, (row: T) => string>

/** Prints a list: a JSON array, or a table whose head is always there, also over nothing. */
export function showList<T>(
  terminal: Terminal,
  format: Format,
  rows: T[],
  columns: Columns<T>,
): void {
  terminal.out(format === 'json' ? JSON.stringify(rows, null, 2) : tableOf(rows, columns))
}

/** Prints one thing: a JSON object, or a table of one row. */
export function showOne<T>(terminal: Terminal, format: Format, row: T, columns: Columns<T>): void {
  terminal.out(format === 'json' ? JSON.stringify(row, null, 2) : tableOf([row], columns))
}

/** Prints one thing as names and values below each other. */
export function showFacts(terminal: Terminal, facts: Record<string, string>): void {
  const width = Math.max(...Object.keys(facts).map((name) => name.length))
  const lines = Object.entries(facts).map(([name, value]) => {
    return `${name.padEnd(width)}  ${printable(value)}`.trimEnd()
  })
  terminal.out(lines.join('\n'))
}

/** A longer cell stands out of its column: one long name would otherwise widen every line. */
const widest = 120

export function tableOf<T>(rows: T[], columns: Columns<T>): string {
  const head = Object.keys(columns)
  const cells = rows.map((row) => Object.values(columns).map((cell) => printable(cell(row))))
  const lines = [head, ...cells]
  const widths = head.map((_, at) =>
    lines.reduce((most, line) => Math.max(most, Math.min(line[at]?.length ?? 0, widest)), 0),
  )
  const pad = (cell: string, at: number): string => cell.padEnd(widths[at] ?? 0)
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n')
}

/** An instant to the second: fractions tell a person nothing. */
export function when(instant: string | null): string {
  return instant === null ? '' : instant.replace(/\.\d+(?=Z$)/, '')
}

export function yesNo(value: boolean): string {
  return value ? 'yes' : 'no'
}
