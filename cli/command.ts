/**
 * What a command is. The declaration of its arguments is their type, their help and their check;
 * citty parses, and a name that was not declared does not compile, though citty's own type lets it.
 */
import { defineCommand, runCommand } from 'citty'
import type { Terminal } from './terminal/terminal.ts'

type Text = { description: string; required?: boolean }
export type Argument =
  | (Text & { type: 'positional'; valueHint?: string })
  /** `bare`: what the flag says when it stands without a value. */
  | (Text & { type: 'string'; valueHint: string; bare?: string })
  | (Text & { type: 'enum'; options: string[]; default?: string })
  /** `negatable`: `--no-NAME` says something of its own. */
  | (Text & { type: 'boolean'; negatable?: string; default?: boolean })
export type Arguments = Record<string, Argument>

type Optional<A, V> = A extends { required: true } | { default: unknown } ? V : V | undefined
type ValueOf<A> = A extends { type: 'positional' }
  ? A extends { required: false }
    ? string | undefined
    : string
  : A extends { type: 'boolean' }
    ? Optional<A, boolean>
    : A extends { type: 'enum'; options: (infer O)[] }
      ? Optional<A, O>
      : Optional<A, string>
export type Values<T extends Arguments> = { [K in keyof T]: ValueOf<T[K]> }

export type Declaration<T extends Arguments> = {
  summary: string
  /** More than the summary says, where there is more. */
  detail?: string
  arguments: T
  examples: string[]
  /** Variables that the command reads, beside those every command does. */
  environment?: Record<string, string>
  /** The exit code, or nothing for 0. */
  run: (terminal: Terminal, values: Values<T>) => Promise<number | void>
}

export type Command = Omit<Declaration<Arguments>, 'run'> & {
  kind: 'command'
  start: (terminal: Terminal, rawArgs: string[]) => Promise<number>
}
/** A word that several commands begin with: `users` of `users add`. */
export type Noun = { kind: 'noun'; summary: string; commands: Record<string, Command> }

export function command<const T extends Arguments>(declared: Declaration<T>): Command {
  const { run, ...rest } = declared
  const start = async (terminal: Terminal, rawArgs: string[]): Promise<number> => {
    const parsed = defineCommand({
      args: forCitty(declared.arguments),
      // citty has parsed by the same declaration that `Values` is made of.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      run: ({ args }) => run(terminal, args as unknown as Values<T>),
    })
    const { result } = await runCommand(parsed, { rawArgs })
    return typeof result === 'number' ? result : 0
  }
  return { ...rest, kind: 'command', start }
}

export function noun(summary: string, commands: Record<string, Command>): Noun {
  return { kind: 'noun', summary, commands }
}

export const format = {
  type: 'enum',
  options: ['table', 'json'],
  default: 'table',
  description: 'how data is printed',
} as const satisfies Argument

/** citty would fill in `bare` and `negatable` of its own kind; `words.ts` has dealt with both. */
function forCitty(declared: Arguments): Record<string, Argument> {
  return Object.fromEntries(
    Object.entries(declared).map(([name, argument]) => [name, { ...argument, required: false }]),
  )
}
