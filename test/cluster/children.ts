import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { written, writtenFile } from '../secrets/record.ts'

/** A program of the cluster while it runs. Its output is in a file beside the others'. */
export class Child {
  readonly name: string
  readonly #process: ChildProcess
  readonly #logFile: string
  readonly #ended: Promise<void>
  #hasEnded = false

  /**
   * Runs `program` on a tether: it ends with this process, however that ends. So the handle
   * need not keep this process alive, and does not.
   */
  constructor(tether: string, program: string, args: string[], dir: string, removeDir: string[]) {
    this.name = basename(program)
    this.#logFile = join(dir, `${this.name}.log`)
    written('argv', this.name, [program, ...args].join('\n'))
    const log = openSync(this.#logFile, 'a', 0o600)
    this.#process = spawn(tether, ['tether', ...removeDir, '--', program, ...args], {
      cwd: dir,
      stdio: ['pipe', log, log],
    })
    closeSync(log)
    this.#ended = new Promise((done) => {
      const end = () => {
        this.#hasEnded = true
        done()
      }
      this.#process.once('error', end)
      this.#process.once('exit', end)
    })
    // The tether's end of the pipe closes with it, which is no failure of ours.
    this.#process.stdin?.on('error', () => {})
    this.#process.unref()
    unref(this.#process.stdin)
  }

  /** @throws {Error} with the end of its log, once it has ended by itself. */
  assertRuns(): void {
    if (!this.#hasEnded) return
    const log = readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n')
    throw new Error(`${this.name} ended by itself (${this.#logFile}):\n${log}`)
  }

  /** Asks it to end, and after ten seconds no longer asks. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return
    this.#process.ref()
    this.#process.kill('SIGTERM')
    const patience = new AbortController()
    const late = sleep(10_000, true, { signal: patience.signal }).catch(() => false)
    await Promise.race([this.#ended, late])
    patience.abort()
    this.#process.stdin?.destroy()
    await this.#ended
    writtenFile('cluster log', this.name, this.#logFile)
  }
}

function unref(stream: unknown): void {
  const maybe = stream as { unref?: () => void } | null
  maybe?.unref?.()
}

/** Asks again and again until `look` finds something, or `limitMs` are over. */
export async function until<T>(
  what: string,
  look: () => Promise<T | false | null | undefined>,
  limitMs = 60_000,
): Promise<T> {
  const end = Date.now() + limitMs
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`)
    await sleep(50)
  }
}
