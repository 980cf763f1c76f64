/**
 * The person at the other end. Data goes to stdout and everything else to stderr, so that a pipe
 * carries data only. Control characters are never printed raw: names come from servers and
 * providers, and a terminal obeys what it is sent (security.md K4).
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Failure } from '../../src/wire/failure.ts'
import { printable } from '../../src/wire/names.ts'
import type { Environment } from '../disk/places.ts'
import { isCode } from '../disk/unknown.ts'
import { readSecret } from './secret.ts'

export type Terminal = {
  env: Environment
  /** One line, or several, of data. */
  out: (text: string) => void
  /** One line for the person: whatever in it would begin another is made visible. */
  err: (line: string) => void
  /** Whether a person is there to be asked. */
  isInteractive: boolean
  ask: (question: string) => Promise<string>
  /** Asks without showing what is typed. */
  askSecret: (question: string) => Promise<string>
  now: () => number
}

export function openTerminal(env: Environment): Terminal {
  return {
    env,
    out: (text) => write(1, text),
    err: (line) => write(2, printable(line)),
    isInteractive:
      !isOn(env['INFRA_NON_INTERACTIVE']) && process.stdin.isTTY && process.stderr.isTTY,
    ask,
    askSecret: (question) =>
      readSecret(
        process.stdin,
        () => write(2, printable(question), ''),
        () => write(2, ''),
      ),
    now: Date.now,
  }
}

/** Whether a variable that switches something says yes. */
export function isOn(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false', 'no', 'off'].includes(value.toLowerCase())
}

/** Text whose lines are meant, and whose other control characters are not. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

async function ask(question: string): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await reader.question(printable(question), { signal: closing(reader) })).trim()
  } catch (cause) {
    throw new Failure('invalid', 'nothing was answered', { cause })
  } finally {
    reader.close()
  }
}

/** Ends the question when the terminal does: a closed stdin would otherwise leave it open. */
function closing(reader: { once(event: 'close', heard: () => void): unknown }): AbortSignal {
  const closed = new AbortController()
  reader.once('close', () => closed.abort())
  return closed.signal
}

/** Written at once: what is left in a buffer is lost when the process ends. */
function write(file: 1 | 2, text: string, end = '\n'): void {
  const bytes = Buffer.from(printableLines(text) + end)
  for (let at = 0; at < bytes.length;) at += writeSome(file, bytes.subarray(at))
}

function writeSome(file: 1 | 2, bytes: Buffer): number {
  try {
    return writeSync(file, bytes)
  } catch (error) {
    if (isCode(error, 'EAGAIN')) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      return 0
    }
    // The reader has gone, as `| head` does: nobody is left to write for.
    if (isCode(error, 'EPIPE')) process.exit(0)
    throw error
  }
}
