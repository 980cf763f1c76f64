/** Finds the command that was meant, runs it, and turns what went wrong into two lines. */
import type { Command, Noun } from './command.ts'
import { fieldOf } from './disk/unknown.ts'
import { commandHelp, mainHelp, nounHelp, usageOf } from './help.ts'
import { hinted, hintOf, Misuse } from './hint.ts'
import { Failure } from '../src/wire/failure.ts'
import type { Terminal } from './terminal/terminal.ts'
import { programs, tree } from './tree.ts'
import { checkedWords } from './arguments/words.ts'

const longestSentence = 2000

/** Does what a command line says; gives the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function run(words: string[], terminal: Terminal): Promise<number> {
  const [first = '', ...rest] = words
  try {
    if (Object.hasOwn(programs, first))
      return (await programs[first]?.main(rest, terminal.env)) ?? 1
    return await runCommandLine(words, terminal)
  } catch (error) {
    return failed(error, terminal)
  }
}

async function runCommandLine(words: string[], terminal: Terminal): Promise<number> {
  const [first, ...rest] = words
  if (first === undefined || isHelp(first) || first === 'help') {
    const help = mainHelp({ ...tree, ...programs })
    if (first !== undefined) terminal.out(help)
    else for (const line of help.split('\n')) terminal.err(line)
    return first === undefined ? 2 : 0
  }
  if (first === '--version') return runCommandLine(['version'], terminal)
  const branch = Object.hasOwn(tree, first) ? tree[first] : undefined
  if (!branch) throw hinted(new Misuse(`there is no command "${first}"`), 'infra --help')
  const found = await branch.load()
  if (found.kind === 'noun') return runNoun(first, found, rest, terminal)
  return runOne([first], found, rest, terminal)
}

function runNoun(
  name: string,
  noun: Noun,
  words: string[],
  terminal: Terminal,
): number | Promise<number> {
  const [second, ...rest] = words
  const found =
    second !== undefined && Object.hasOwn(noun.commands, second) ? noun.commands[second] : undefined
  if (second !== undefined && found) return runOne([name, second], found, rest, terminal)
  if (second !== undefined && isHelp(second)) {
    terminal.out(nounHelp(name, noun))
    return 0
  }
  const known = Object.keys(noun.commands).join(', ')
  const what =
    second === undefined ? `${name} needs a command` : `there is no command "${name} ${second}"`
  throw hinted(new Misuse(`${what}: one of ${known}`), `infra ${name} --help`)
}

async function runOne(
  path: string[],
  command: Command,
  words: string[],
  terminal: Terminal,
): Promise<number> {
  if (asksForHelp(words)) {
    terminal.out(commandHelp(path, command))
    return 0
  }
  try {
    return await command.start(terminal, checkedWords(command.arguments, words))
  } catch (error) {
    if (error instanceof Misuse && hintOf(error) === null) hinted(error, usageOf(path, command))
    throw error
  }
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-h'
}

function asksForHelp(words: string[]): boolean {
  const end = words.indexOf('--')
  return (end === -1 ? words : words.slice(0, end)).some(isHelp)
}

function failed(error: unknown, terminal: Terminal): number {
  terminal.err(`error: ${sentenceOf(error)}`)
  const hint = error instanceof Error ? hintOf(error) : null
  if (hint !== null) terminal.err(`hint: ${hint}`)
  return error instanceof Misuse ? 2 : 1
}

/** One line, and never a stack: what is no `Failure` is a bug, or a file that cannot be written. */
function sentenceOf(error: unknown): string {
  if (error instanceof Failure || error instanceof Misuse) return shortened(error.message)
  const what = error instanceof Error ? error.message : String(error)
  const path = fieldOf(error, 'path')
  return shortened(typeof path === 'string' && !what.includes(path) ? `${what} (${path})` : what)
}

/** A server may say anything, and as much as it likes: not all of it is for a terminal. */
function shortened(sentence: string): string {
  return sentence.length > longestSentence ? `${sentence.slice(0, longestSentence)} …` : sentence
}
