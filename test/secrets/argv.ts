/**
 * The arguments of every process that runs beneath this one, looked at again and again: so also
 * those that the suite's own processes start, kubectl's plugin and the browser among them.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { written } from './record.ts'

const everyMs = 300

/** Looks until the returned function is called. Where there is no `/proc`, it sees nothing. */
export function watchArguments(): () => void {
  const seen = new Set<string>()
  const timer = setInterval(() => look(seen), everyMs)
  timer.unref()
  return () => clearInterval(timer)
}

function look(seen: Set<string>): void {
  for (const command of commandsBeneath(process.pid)) {
    if (seen.has(command)) continue
    seen.add(command)
    const words = command.split('\n').map((word) => basename(word))
    written('argv', words.slice(0, 5).join(' ').slice(0, 80), command)
  }
}

export function commandsBeneath(ancestor: number): string[] {
  const parents = new Map(pids().map((pid) => [pid, parentOf(pid)]))
  const isBeneath = (pid: number): boolean => {
    const parent = parents.get(pid) ?? 0
    return parent === ancestor || (parent > 1 && isBeneath(parent))
  }
  return [...parents.keys()]
    .filter(isBeneath)
    .map((pid) => readIfThere(`/proc/${pid}/cmdline`).replaceAll('\0', '\n'))
}

function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    return []
  }
}

/** Behind the name, which may hold anything: `pid (name) state ppid`. */
function parentOf(pid: number): number {
  return Number(/.*\) \S (\d+)/s.exec(readIfThere(`/proc/${pid}/stat`))?.[1] ?? 0)
}

/** A process may have ended since it was listed. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
