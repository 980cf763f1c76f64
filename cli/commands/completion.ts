import { command, type Command, type Noun } from '../command.ts'
import { Misuse } from '../hint.ts'
import { programs, tree } from '../tree.ts'

export const completion = command({
  summary: 'print the completion script of a shell',
  arguments: { shell: { type: 'positional', description: 'bash, zsh or fish' } },
  examples: [
    'source <(infra completion bash)',
    'infra completion fish > ~/.config/fish/completions/infra.fish',
  ],
  async run(terminal, { shell }) {
    const write = scripts.get(shell)
    if (!write)
      throw new Misuse(
        `there is no completion for "${shell}": one of ${[...scripts.keys()].join(', ')}`,
      )
    terminal.out(write(await wordsOf()))
  },
})

/** What may follow: for `` the commands, for a command its flags, for a noun its commands. */
type Words = Map<string, string[]>

async function wordsOf(): Promise<Words> {
  const words: Words = new Map([['', [...Object.keys(tree), ...Object.keys(programs)]]])
  for (const [name, branch] of Object.entries(tree)) addWords(words, name, await branch.load())
  return words
}

function addWords(words: Words, name: string, found: Command | Noun): void {
  if (found.kind === 'command') {
    words.set(name, flagsOf(found))
    return
  }
  words.set(name, Object.keys(found.commands))
  for (const [verb, it] of Object.entries(found.commands)) words.set(`${name} ${verb}`, flagsOf(it))
}

function flagsOf({ arguments: declared }: Command): string[] {
  const flags = Object.entries(declared).flatMap(([name, argument]) => {
    if (argument.type === 'positional') return []
    const negated = argument.type === 'boolean' && argument.negatable ? [`--no-${name}`] : []
    return argument.type === 'boolean' && argument.default === true
      ? negated
      : [`--${name}`, ...negated]
  })
  return [...flags, '--help']
}

const scripts = new Map([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
])

function bash(words: Words): string {
  const cases = [...words].map(
    ([path, next]) => `    "${path}") COMPREPLY=($(compgen -W "${next.join(' ')}" -- "$word")) ;;`,
  )
  return `_infra() {
  local word="\${COMP_WORDS[COMP_CWORD]}" path="" at
  for ((at = 1; at < COMP_CWORD && at < 3; at++)); do
    [[ "\${COMP_WORDS[at]}" == [-@.]* ]] && break
    path="\${path:+$path }\${COMP_WORDS[at]}"
  done
  case "$path" in
${cases.join('\n')}
    *) path="\${path%% *}"
       case "$path" in
${cases.map((line) => `     ${line}`).join('\n')}
       esac ;;
  esac
}
complete -o default -F _infra infra`
}

function zsh(words: Words): string {
  return `autoload -U +X bashcompinit && bashcompinit
${bash(words)}`
}

function fish(words: Words): string {
  const lines = [...words].map(([path, next]) => {
    const seen =
      path === ''
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ')
    return `complete -c infra -f -n '${seen}' -a '${next.join(' ')}'`
  })
  return lines.join('\n')
}
