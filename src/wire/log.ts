/** One JSON object a line on stderr: what an operator greps and a collector parses. */

export type Level = 'debug' | 'info' | 'warn' | 'error'

/**
 * Writes one line. Never hand in a credential, a token or a provider's answer: the test suite
 * searches every line for those it issued. JSON escapes control characters, so a name that came
 * from elsewhere cannot forge a line or move a terminal's cursor.
 */
export function log(level: Level, message: string, facts: Record<string, unknown> = {}): void {
  process.stderr.write(`${lineOf(level, message, facts)}\n`)
}

let failures = 0

/** Times that lines were lost: a disk that is full, a reader that is gone. */
export const logFailures = (): number => failures

// Without a listener, the first line that cannot be written would end the process, and with it all
// that it holds open: what fails closed must not fall over its own log. It goes on with the next
// line that can be.
process.stderr.on('error', () => {
  failures += 1
})

export function lineOf(level: Level, message: string, facts: Record<string, unknown>): string {
  const line = { at: new Date().toISOString(), level, message, ...facts }
  return JSON.stringify(line, plain)
}

/** Errors have no enumerable fields: without this they would be logged as `{}`. */
function plain(_name: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const code = (value as { code?: unknown }).code
  return {
    name: value.name,
    message: value.message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(value.cause === undefined ? {} : { cause: value.cause }),
  }
}
