/** Files that change under a running process: tokens and certificates that somebody rotates. */
import { readFileSync } from 'node:fs'
import { Failure } from '../../src/wire/failure.ts'

const everyMs = 30_000

/**
 * What a file says, read again at most every half minute. Where it cannot be read any more, the
 * last text is given: half of an exchange must not take down what still works, and a credential
 * that has truly ended is refused where it is shown.
 *
 * @throws {Failure} `invalid` when it cannot be read the first time.
 */
export function reread(path: string, elapsed: () => number): () => string {
  let text = firstRead(path)
  let readAt = elapsed()
  return () => {
    if (elapsed() - readAt < everyMs) return text
    readAt = elapsed()
    try {
      text = readFileSync(path, 'utf8')
    } catch {
      // The last text stays, and the next look is half a minute away.
    }
    return text
  }
}

function firstRead(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Failure('invalid', `cannot read ${path}`, { cause })
  }
}
