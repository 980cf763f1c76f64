/**
 * What the benchmarks of the server stand on: real processes, their memory and CPU, and tables.
 * Whatever is opened is closed again, by an end, a failure or Ctrl-C alike.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '../src/wire/client.ts'
import { fetchWith } from '../src/wire/dial.ts'
import { freePort } from '../test/ports.ts'
import { productCommand, root } from '../test/processes.ts'

/** An instant in ms that every process of this machine agrees about. */
export const wall = (): number => performance.timeOrigin + performance.now()

export class Scope {
  readonly dir = mkdtempSync(join(tmpdir(), 'infra-bench-'))
  readonly #endings: (() => unknown)[] = []

  later(end: () => unknown): void {
    this.#endings.push(end)
  }

  /** A scope of its own for a part of the work: it ends with that, or with this one. */
  async within<T>(work: (inner: Scope) => Promise<T>): Promise<T> {
    const inner = new Scope()
    this.later(() => inner.end())
    try {
      return await work(inner)
    } finally {
      await inner.end()
    }
  }

  async end(): Promise<void> {
    for (const end of this.#endings.splice(0).toReversed()) await end()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** Runs `work`, for at most `minutes`. */
export async function bench(minutes: number, work: (scope: Scope) => Promise<void>): Promise<void> {
  const scope = new Scope()
  const asked = Promise.withResolvers<never>()
  const stop = (why: string) => () => asked.reject(new Error(why))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop(`stopped by ${signal}`))
  const timer = setTimeout(stop(`not done within ${minutes} minutes`), minutes * 60_000)
  try {
    await Promise.race([work(scope), asked.promise])
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  } finally {
    clearTimeout(timer)
    // What does not end by itself ends with this process.
    await Promise.race([scope.end(), pause(10_000)])
  }
  process.exit()
}

/** A process of its own that does what it is asked, as `parts/*.ts` do; it ends with this one. */
export class Part {
  readonly child: ChildProcess
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>()
  #id = 0

  constructor(scope: Scope, file: string, output: 'inherit' | 'ignore' = 'inherit') {
    const path = fileURLToPath(new URL(`parts/${file}`, import.meta.url))
    this.child = fork(path, { stdio: ['ignore', output, output, 'ipc'] })
    this.child.on('message', (said) => this.#hear(said as Answer))
    this.child.on('exit', () => this.#fail())
    scope.later(() => void this.child.kill('SIGKILL'))
  }

  ask<T>(what: string, given: unknown = null): Promise<T> {
    const asked = Promise.withResolvers<unknown>()
    this.#id += 1
    this.#asked.set(this.#id, asked)
    this.child.send({ id: this.#id, what, given })
    return asked.promise as Promise<T>
  }

  #hear({ id, value, error }: Answer): void {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    if (error === undefined) asked?.resolve(value)
    else asked?.reject(new Error(error))
  }

  #fail(): void {
    for (const asked of this.#asked.values()) asked.reject(new Error('a part has ended'))
  }
}

type Answer = { id: number; value?: unknown; error?: string }
type Handlers = Record<string, (given: never) => unknown>

/** The other end of a `Part`. */
export function serveParent(handlers: Handlers): void {
  process.on('disconnect', () => process.exit())
  process.on('message', (said) => {
    const { id, what, given } = said as { id: number; what: string; given: never }
    const answer = async () => handlers[what]?.(given)
    answer().then(
      (value) => process.send?.({ id, value: value ?? null }),
      (error: unknown) => process.send?.({ id, error: String(error) }),
    )
  })
}

export type Server = { url: string; port: number; pid: number; admin: Client; caFile: string }

/** The product's server on `databaseUrl`. `INFRA_BENCH_SERVER` runs another, or this one's source. */
export async function startServer(scope: Scope, databaseUrl: string | null): Promise<Server> {
  const port = await freePort()
  const dataDir = join(mkdtempSync(join(scope.dir, 'server-')))
  const adminKey = `bench.${crypto.randomUUID().replaceAll('-', '')}`
  const command = process.env['INFRA_BENCH_SERVER']?.split(' ') ?? productCommand()
  const [file, ...args] = [...command, 'server']
  const child = spawn(file, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: scope.dir,
      INFRA_LISTEN: `127.0.0.1:${port}`,
      INFRA_DATA_DIR: dataDir,
      INFRA_ADMIN_EMAIL: 'admin@example.com',
      INFRA_ADMIN_PASSWORD: 'correct horse battery staple',
      INFRA_ADMIN_ACCESS_KEY: adminKey,
      ...(databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }),
    },
  })
  scope.later(() => endOf(child))
  process.once('exit', () => child.kill('SIGKILL'))
  await listening(child)
  const url = `https://127.0.0.1:${port}`
  const caFile = join(dataDir, 'ca.crt')
  const admin = new Client(url, adminKey, fetchWith(readFileSync(caFile, 'utf8')))
  return { url, port, pid: child.pid ?? 0, admin, caFile }
}

/** Until it listens; what it complains of afterwards is shown. */
function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('"message":"listening"')) resolve()
      for (const line of text.split('\n')) {
        if (line.includes('"level":"error"')) console.error(line.slice(0, 300))
      }
    })
  })
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const killing = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(killing)
}

/** CPU that a process has used, in ms: user and system. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Memory that a process holds now and held at most, in KB. */
export function memoryKb(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0)
  return { now: kb('VmRSS'), peak: kb('VmHWM') }
}

/**
 * What pages are in use: memory that a runtime has freed and not given back counts as well, so it
 * is read after the process had time to.
 */
export function machine(): string {
  const load = loadavg()[0]?.toFixed(1) ?? '?'
  return `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, load ${load}`
}

/** The value below which `share` of `values` are. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

export function median(values: number[]): number {
  return quantile(values, 0.5)
}

/** A markdown table. */
export function table(head: string[], rows: (string | number)[][]): string {
  const line = (cells: (string | number)[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms))

const startedAt = wall()
/** What is under way, for whoever waits. */
export function say(what: string): void {
  process.stderr.write(`${((wall() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${what}\n`)
}

/** Asks for `work` of every item, so many at a time. */
export async function each<T, R>(
  items: T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const left = items.entries()
  const worker = async () => {
    for (const [at, item] of left) results[at] = await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}
