/** What a person can type about a failure. Failures cross the wire; hints stay in the CLI. */

const hints = new WeakMap<Error, string>()

export function hinted<E extends Error>(error: E, hint: string): E {
  hints.set(error, hint)
  return error
}

export function hintOf(error: Error): string | null {
  return hints.get(error) ?? null
}

/** A command line that says nothing the CLI understands: exit 2. The message is a sentence. */
export class Misuse extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Misuse'
  }
}
