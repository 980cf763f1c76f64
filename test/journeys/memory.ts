/** How much memory a connector's process holds, as Linux tells it (proc(5)). */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Connector } from './world.ts'

type Measured = Pick<Connector, 'running'>

/** Makes the most memory that the connector has held what it holds now (clear_refs). */
export function forgetPeak({ running }: Measured): number {
  writeFileSync(`/proc/${running?.child.pid}/clear_refs`, '5')
  return memoryOf({ running }, 'VmRSS')
}

export function memoryOf({ running }: Measured, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${running?.child.pid}/status`, 'utf8')
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status) ?? []
  return Number(kilobytes) * 1024
}
