/** Opens the terminal and runs the command line: what `main.ts` loads when it must. */
import { run } from './run.ts'
import { openTerminal } from './terminal/terminal.ts'

export function start(words: string[]): Promise<number> {
  return run(words, openTerminal(process.env))
}
