/** Reads a line from a terminal without showing it. */
import { StringDecoder } from 'node:string_decoder'
import { Failure } from '../../src/wire/failure.ts'

/** What is needed of `process.stdin`. */
export type Keys = NodeJS.ReadableStream & { setRawMode?(mode: boolean): unknown }

const enter = /[\r\n]/
const interrupt = '\u0003'
const endOfInput = '\u0004'
const erase = /^[\b\u007f]$/

/**
 * The line typed, up to Enter. The terminal is put back as it was, whatever happens. It stops
 * showing what is typed before `ask` prints the question: who answers fast is not shown either.
 */
export async function readSecret(keys: Keys, ask: () => void, ended: () => void): Promise<string> {
  keys.setRawMode?.(true)
  ask()
  keys.resume()
  try {
    return await lineOf(keys)
  } finally {
    keys.setRawMode?.(false)
    keys.pause()
    ended()
  }
}

function lineOf(keys: Keys): Promise<string> {
  const decoder = new StringDecoder('utf8')
  let line: string[] = []
  return new Promise((resolve, reject) => {
    const stop = (settle: () => void): void => {
      keys.off('data', typed)
      keys.off('end', closed)
      settle()
    }
    const closed = (): void => stop(() => reject(new Failure('invalid', 'nothing was answered')))
    const typed = (bytes: Buffer): void => {
      for (const key of decoder.write(bytes)) {
        if (enter.test(key)) return stop(() => resolve(line.join('')))
        if (key === interrupt || key === endOfInput) return closed()
        line = erase.test(key) ? line.slice(0, -1) : [...line, key]
      }
    }
    keys.on('data', typed)
    keys.once('end', closed)
  })
}
