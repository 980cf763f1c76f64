/** Real processes for journeys: started, listened to, waited for, ended; none outlives its test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { processEnded, processStarted } from './secrets/process.ts'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** How long a wait may last before it is a failure: generous, because machines are shared. */
export const patienceMs = 60_000

/**
 * What runs the product, as `npm run build` made it: the one executable when the tests run on Bun,
 * the bundles when they run on Node, so that both suites together are journeys on both runtimes.
 */
export function productCommand(): string[] {
  if (process.env['INFRA_TEST_PRODUCT']) return [process.env['INFRA_TEST_PRODUCT']]
  return process.versions['bun'] ? [built('infra')] : [process.execPath, built('node/infra.mjs')]
}

function built(name: string): string {
  const path = join(root, 'dist', name)
  if (existsSync(path)) return path
  throw new Error(`dist/${name} is not built: run npm run build`)
}

export type Exit = { code: number | null; signal: string | null; stdout: string; stderr: string }

/** A process that is running, and all that it has said. */
export class Running {
  readonly child: ChildProcess
  readonly exited: Promise<Exit>
  stdout = ''
  stderr = ''
  #ended: Exit | null = null
  readonly #listeners = new Set<() => void>()
  /** Puts what it said into the record of the run, once. */
  readonly record: () => void

  constructor(command: string[], env: Record<string, string>, cwd = root) {
    const [file = '', ...args] = command
    processStarted(command, env)
    this.child = spawn(file, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    this.record = () => processEnded(command, env, this)
    living.add(this)
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear('stdout', text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#hear('stderr', text))
    // A process that went away while we wrote to it says so by its exit.
    this.child.stdin?.on('error', () => {})
    this.exited = new Promise((resolve, reject) => {
      this.child.on('error', reject)
      this.child.on('close', (code, signal) => {
        living.delete(this)
        this.record()
        this.#ended = { code, signal, stdout: this.stdout, stderr: this.stderr }
        resolve(this.#ended)
        this.#tell()
      })
    })
  }

  get hasEnded(): boolean {
    return this.#ended !== null
  }

  /** Resolves when what the process said matches; fails when it ends without, or never does. */
  async says(wanted: RegExp, from: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    return this.#when(() => wanted.exec(this[from]), `said ${wanted}`)
  }

  async ends(): Promise<Exit> {
    return this.#when(() => this.#ended, 'ended')
  }

  write(text: string): void {
    this.child.stdin?.write(text)
  }

  endInput(): void {
    this.child.stdin?.end()
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (!this.hasEnded) this.child.kill(signal)
    return this.ends()
  }

  #hear(from: 'stdout' | 'stderr', text: string): void {
    this[from] += text
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  async #when<T>(look: () => T | null, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#listeners.delete(check)
        clearTimeout(timer)
        act()
      }
      const check = () => {
        const found = look()
        if (found !== null) return settle(() => resolve(found))
        if (this.#ended) settle(() => reject(this.#complaint(`ended and never ${what}`)))
      }
      const timer = setTimeout(
        () => settle(() => reject(this.#complaint(`never ${what}`))),
        patienceMs,
      )
      this.#listeners.add(check)
      check()
    })
  }

  #complaint(what: string): Error {
    const command = this.child.spawnargs.join(' ')
    return new Error(`${command}: ${what}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`)
  }
}

/** Runs a command to its end. */
export async function run(
  command: string[],
  env: Record<string, string>,
  input: string | null = null,
): Promise<Exit> {
  const running = new Running(command, env)
  if (input !== null) running.write(input)
  running.endInput()
  return running.ends()
}

/** Looks until `look` gives something, and fails with `what` when it never does. */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  withinMs = patienceMs,
): Promise<T> {
  const patience = new AbortController()
  // A look that hangs is bounded, too.
  const over = setTimeout(() => patience.abort(new Error(`never happened: ${what}`)), withinMs)
  const ended = new Promise<never>((_, reject) => {
    patience.signal.addEventListener('abort', () => reject(patience.signal.reason as Error))
  })
  ended.catch(() => {})
  try {
    for (;;) {
      const found = await Promise.race([look(), ended])
      if (found) return found
      await Promise.race([pause(50), ended])
    }
  } finally {
    clearTimeout(over)
  }
}

const living = new Set<Running>()
process.on('exit', () => {
  for (const running of living) {
    running.child.kill('SIGKILL')
    running.record()
  }
})
