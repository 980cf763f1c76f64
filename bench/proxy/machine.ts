/** Programs on processors, and what the kernel says of them. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { clean } from '../../test/journeys/person.ts'
import { Running, root } from '../../test/processes.ts'

/** The load and the upstream share one processor, and what is measured has the other. */
export const loadCpu = cpus().length > 1 ? 0 : -1
export const proxyCpu = cpus().length > 1 ? 1 : -1

/** Builds the Go programs of `bench/go`, and gives where they are. */
export function goPrograms(folder: string): string {
  const program = join(folder, 'bench-go')
  const made = spawnSync('go', ['build', '-o', program, '.'], {
    cwd: join(root, 'bench', 'go'),
    env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`go could not build bench/go: ${made.stderr}`)
  return program
}

/** Starts a program on a processor, tethered to this process: it ends with it, however that ends. */
export function started(
  go: string,
  cpu: number,
  command: string[],
  env: Record<string, string> = {},
): Running {
  return new Running([go, 'tether', String(cpu), ...command], { ...clean(), ...env })
}

export function pidOf({ child }: Running): number {
  if (child.pid === undefined) throw new Error(`${child.spawnargs.join(' ')} did not start`)
  return child.pid
}

/** Proportional set size in KB: what a process has of memory, with its share of what is shared. */
export function pssOf(pid: number): number {
  return kilobytes(`/proc/${pid}/smaps_rollup`, 'Pss')
}

/** The most that a process ever had in KB since `forgetPeak`. */
export function peakOf(pid: number): number {
  return kilobytes(`/proc/${pid}/status`, 'VmHWM')
}

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function kilobytes(path: string, name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(path, 'utf8'))
  if (!line) throw new Error(`${path} does not say ${name}`)
  return Number(line[1])
}
