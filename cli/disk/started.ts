/** When a process started, to tell it from a later one that was given the same number. */
import { readFileSync } from 'node:fs'
import { isCode } from './unknown.ts'

/**
 * The start of process `pid` in ticks since boot, or '' where the system does not say. Whoever
 * compares then has the number alone, and must err on the safe side.
 */
export function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): field 22; the second field is a name that may itself hold spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

/** Whether the process that was `pid` with this start is still alive. */
export function isAlive(pid: number, started: string): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: there is such a process, and it is somebody else's.
    if (!isCode(error, 'EPERM')) return false
  }
  const now = startOf(pid)
  return started === '' || now === '' || now === started
}
