/** What ends with a run: the same of a test, and of a run by hand. */
import type { TestContext } from 'node:test'

export type Ends = Pick<TestContext, 'after'>

/** For a run by hand. The last that was begun ends first; one that fails keeps no other. */
export function endings(): Ends & { end(): Promise<void> } {
  const closers: (() => unknown)[] = []
  const after = ((close: () => unknown) => void closers.push(close)) as Ends['after']
  const end = async (): Promise<void> => {
    for (let close = closers.pop(); close; close = closers.pop()) {
      await Promise.resolve()
        .then(close)
        .catch((error: unknown) => console.error(error))
    }
  }
  return { after, end }
}
