/**
 * What was typed, judged before citty parses it: citty takes any flag, drops what is too much and
 * turns a value that is missing into an empty one. A mistyped flag that is ignored may be a grant
 * without its end.
 */
import type { Argument, Arguments } from '../command.ts'
import { Misuse } from '../hint.ts'

/**
 * The words of a command line as citty reads them without a doubt: every flag as `--name=value`,
 * positional arguments after `--`.
 */
export function checkedWords(declared: Arguments, words: string[]): string[] {
  const flags = new Map<string, string>()
  const positionals: string[] = []
  const rest = [...words]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') positionals.push(...rest.splice(0))
    else if (word.startsWith('-') && word !== '-') readFlag(declared, flags, word, rest)
    else positionals.push(word)
  }
  checkPositionals(declared, positionals)
  checkRequired(declared, flags)
  return [...flags.values(), '--', ...positionals]
}

function readFlag(
  declared: Arguments,
  flags: Map<string, string>,
  word: string,
  rest: string[],
): void {
  const [, said = '', value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? []
  const [name, argument] = declaredFlag(declared, said)
  if (!argument || !name) throw new Misuse(`there is no flag ${word.replace(/=.*/s, '')}`)
  if (flags.has(name)) throw new Misuse(`--${name} is given twice`)
  if (argument.type === 'boolean') {
    if (value !== undefined) throw new Misuse(`--${said} takes no value`)
    flags.set(name, `--${said}`)
  } else {
    flags.set(name, `--${name}=${flagValue(name, argument, value, rest)}`)
  }
}

function declaredFlag(declared: Arguments, said: string): [string, Argument] | [] {
  const name = said.startsWith('no-') && !Object.hasOwn(declared, said) ? said.slice(3) : said
  const argument = Object.hasOwn(declared, name) ? declared[name] : undefined
  if (!argument || argument.type === 'positional') return []
  if (name !== said && !(argument.type === 'boolean' && argument.negatable !== undefined)) return []
  // `--browser`, say, would only repeat what is so without it.
  if (name === said && argument.type === 'boolean' && argument.default === true) return []
  return [name, argument]
}

function flagValue(
  name: string,
  argument: Argument,
  given: string | undefined,
  rest: string[],
): string {
  const bare = argument.type === 'string' ? argument.bare : undefined
  const value = given ?? bare ?? rest.shift()
  if (
    value === undefined ||
    (given === undefined && bare === undefined && value.startsWith('--'))
  ) {
    throw new Misuse(`--${name} needs a value`)
  }
  if (argument.type === 'enum' && !argument.options.includes(value)) {
    throw new Misuse(`--${name} must be one of ${argument.options.join(', ')}`)
  }
  return value
}

function checkPositionals(declared: Arguments, given: string[]): void {
  const meant = Object.entries(declared).filter(([, { type }]) => type === 'positional')
  const missing = meant.slice(given.length).find(([, { required }]) => required !== false)
  if (missing) throw new Misuse(`${missing[0].toUpperCase()} is missing`)
  const extra = given[meant.length]
  if (extra !== undefined) throw new Misuse(`"${extra}" is one word too many`)
  if (given.includes('')) throw new Misuse('an argument is empty')
}

function checkRequired(declared: Arguments, flags: Map<string, string>): void {
  for (const [name, { type, required }] of Object.entries(declared)) {
    if (type !== 'positional' && required && !flags.has(name))
      throw new Misuse(`--${name} is missing`)
  }
}
