/** Tells a story by doing it: each command as it was typed, what it printed, how long it took. */
import type { Exit } from '../processes.ts'
import type { Running } from '../processes.ts'
import type { Person } from '../journeys/person.ts'

export function say(text: string): void {
  console.log(`  ${text}`)
}

export function title(text: string): void {
  console.log(`\n== ${text}`)
}

export class Story {
  readonly #name: string
  readonly #person: Person

  constructor(name: string, person: Person) {
    this.#name = name
    this.#person = person
  }

  async infra(args: string[]): Promise<void> {
    await this.#tell(['infra', ...args], () => this.#person.infra(args), isDone)
  }

  async kubectl(args: string[]): Promise<void> {
    await this.#tell(['kubectl', ...args], () => this.#person.kubectl(args), isDone)
  }

  /** A command that must fail now: the access it needs is gone. */
  async refused(args: string[]): Promise<void> {
    const isRefused = ({ code }: Exit) => code !== 0
    await this.#tell(['kubectl', ...args], () => this.#person.kubectl(args), isRefused)
  }

  /** `browse` plays the browser up to the provider's redirect, which is then opened at the CLI. */
  async loginByBrowser(provider: string, browse: (url: string) => Promise<string>): Promise<void> {
    const args = ['login', '--provider', provider, '--no-browser']
    await this.#tell(
      ['infra', ...args],
      async () => {
        const login = this.#person.openInfra(args)
        const [url] = await login.says(/https?:\/\/\S+[?&]code_challenge=\S+/, 'stderr')
        await fetch(await browse(url))
        return login.ends()
      },
      isDone,
    )
  }

  /** A shell that is open and answers; whoever waits for its end is told when it was cut. */
  async openShell(args: string[]): Promise<{ ends(): Promise<void> }> {
    say(`${this.#name}$ kubectl ${args.join(' ')}`)
    const shell: Running = this.#person.open(args)
    shell.write('echo a shell in $(hostname)\n')
    await shell.says(/a shell in/)
    print(shell.stdout)
    return {
      ends: async () => {
        const { stderr, code } = await shell.ends()
        say(`(${this.#name}'s shell was cut: exit ${code})`)
        print(stderr)
      },
    }
  }

  async #tell(
    words: string[],
    act: () => Promise<Exit>,
    isWanted: (exit: Exit) => boolean,
  ): Promise<void> {
    const startedAt = performance.now()
    const exit = await act()
    const ms = Math.round(performance.now() - startedAt)
    say(`${this.#name}$ ${words.join(' ')}   (${ms} ms)`)
    print(exit.stdout + exit.stderr)
    if (!isWanted(exit)) throw new Error(`${words.join(' ')}: exit ${exit.code}`)
  }
}

function isDone({ code }: Exit): boolean {
  return code === 0
}

function print(text: string): void {
  for (const line of text.trimEnd().split('\n')) if (line !== '') say(`    ${line}`)
}
