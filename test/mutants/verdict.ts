/** What a run of one test file shows about a break, read from what the runner printed. */

export type Runtime = 'bun' | 'node'

/**
 * `failed`: a test judged and said no. `hung`: one waited in vain, and none judged. `broken`: no
 * test ran, or the break itself made no sense, so that nothing was shown.
 */
export type Outcome = 'passed' | 'failed' | 'hung' | 'broken'

/** What is added to the output of a runner that did not end. */
export const overdue = 'the runner did not end, and was ended'

export function outcomeOf(runtime: Runtime, code: number, output: string, file: string): Outcome {
  if (code === 0) return 'passed'
  // A break that names what is not there fails every test, whatever the test looks at.
  if (output.includes('ReferenceError: ')) return 'broken'
  return runtime === 'bun' ? onBun(output) : onNode(output, file)
}

/** `--bail` ends with the first failure: `(fail) name`, and the line under it says of a timeout. */
function onBun(output: string): Outcome {
  if (output.includes('# Unhandled error between tests')) return 'broken'
  const [, next] = /^\(fail\) .*\n(.*)/m.exec(output) ?? []
  if (next === undefined) return output.includes(overdue) ? 'hung' : 'broken'
  return next.includes('timed out after') ? 'hung' : 'failed'
}

/** A file that could not be loaded is a failed test of the file's name; a timeout cancels. */
function onNode(output: string, file: string): Outcome {
  const count = (what: string) =>
    Number(new RegExp(`^ℹ ${what} (\\d+)$`, 'm').exec(output)?.[1] ?? 0)
  if (output.split('\n').some((line) => line.startsWith(`✖ ${file} (`))) return 'broken'
  if (count('fail') > 0) return 'failed'
  return count('cancelled') > 0 || output.includes(overdue) ? 'hung' : 'broken'
}
