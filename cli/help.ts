/** The help of commands, in plain text: also in a pipe, in a golden file and in a pager. */
import type { Argument, Command, Noun } from './command.ts'

/** A command or noun at the top of the tree, known by its summary until it is needed. */
export type Entry = { summary: string }

/** Variables that every command reads. */
export const environment: Record<string, string> = {
  INFRA_SERVER: 'the server to speak to, a URL',
  INFRA_SERVER_CA_FILE: 'PEM file with the CA of a server that has its own',
  INFRA_ACCESS_KEY: 'an access key, used in place of a login and never stored',
  INFRA_NON_INTERACTIVE: 'true: never ask anything',
  INFRA_CONFIG_DIR: 'where sessions are kept (default: ~/.config/infra)',
  INFRA_INSECURE_HTTP: 'true, loud: allow plain HTTP to a server that is not this machine',
  KUBECONFIG: 'where clusters are written (default: ~/.kube/config)',
}

export function mainHelp(entries: Record<string, Entry>): string {
  return join(
    'Access to Kubernetes clusters, given and taken away at once.',
    'Usage: infra COMMAND [words and flags]',
    section('Commands', summaries(entries)),
    section('Environment', environment),
    section('Examples', [
      'infra login infra.example.com',
      'infra list',
      'infra use prod',
      'kubectl get pods',
    ]),
    'infra COMMAND --help says more about a command.',
  )
}

export function nounHelp(name: string, { summary, commands }: Noun): string {
  const examples = Object.values(commands).flatMap((command) => command.examples.slice(0, 1))
  return join(
    sentence(summary),
    `Usage: infra ${name} COMMAND [words and flags]`,
    section('Commands', summaries(commands)),
    section('Examples', examples),
    `infra ${name} COMMAND --help says more about a command.`,
  )
}

export function commandHelp(words: string[], command: Command): string {
  const declared = Object.entries(command.arguments)
  const positionals = declared.filter(([, { type }]) => type === 'positional')
  const flags = declared.filter(([, { type }]) => type !== 'positional')
  return join(
    sentence(command.summary),
    command.detail ?? '',
    `Usage: ${usageOf(words, command)}`,
    section(
      'Arguments',
      Object.fromEntries(positionals.map(([name, it]) => [shown(name, it), it.description])),
    ),
    section('Flags', { ...Object.fromEntries(flags.flatMap(flagLines)), '--help': 'show this' }),
    section('Environment', command.environment ?? {}),
    section('Examples', command.examples),
  )
}

/** The one line that says how a command is written. */
export function usageOf(words: string[], command: Command): string {
  const parts = Object.entries(command.arguments).flatMap(([name, argument]) => {
    if (argument.type === 'positional') {
      return argument.required === false ? `[${shown(name, argument)}]` : shown(name, argument)
    }
    return argument.required ? `--${name} ${shown(name, argument)}` : []
  })
  return ['infra', ...words, ...parts, '[flags]'].join(' ')
}

function flagLines([name, argument]: [string, Argument]): [string, string][] {
  if (argument.type !== 'boolean') {
    const bare = argument.type === 'string' && argument.bare !== undefined
    const value = bare ? `[=${shown(name, argument)}]` : ` ${shown(name, argument)}`
    return [[`--${name}${value}`, argument.description + defaultOf(argument)]]
  }
  const lines: [string, string][] = []
  if (argument.default !== true) lines.push([`--${name}`, argument.description])
  if (argument.negatable !== undefined) lines.push([`--no-${name}`, argument.negatable])
  return lines
}

function shown(name: string, argument: Argument): string {
  if (argument.type === 'enum') return argument.options.join('|')
  if (argument.type === 'boolean') return ''
  return argument.valueHint ?? name.toUpperCase()
}

function defaultOf(argument: Argument): string {
  if (argument.type === 'string' && argument.bare !== undefined) return ` (alone: ${argument.bare})`
  return argument.type === 'enum' && argument.default ? ` (default: ${argument.default})` : ''
}

function summaries(entries: Record<string, Entry>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).map(([name, { summary }]) => [name, summary]))
}

function section(title: string, lines: Record<string, string> | string[]): string {
  if (Array.isArray(lines)) return [`${title}:`, ...lines.map((line) => `  ${line}`)].join('\n')
  const width = Math.max(0, ...Object.keys(lines).map((name) => name.length))
  const rows = Object.entries(lines).map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)
  return rows.length === 0 ? '' : [`${title}:`, ...rows].join('\n')
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
}

function join(...parts: string[]): string {
  return parts.filter((part) => part !== '').join('\n\n')
}
