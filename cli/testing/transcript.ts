/** Runs a command line as `main.ts` would, and keeps what it printed and where. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Failure } from '../../src/wire/failure.ts'
import { printable } from '../../src/wire/names.ts'
import { processEnded, processStarted } from '../../test/secrets/process.ts'
import { secret } from '../../test/secrets/record.ts'
import { run } from '../run.ts'
import { printableLines, type Terminal } from '../terminal/terminal.ts'

export type Transcript = { code: number; out: string; err: string }
export type Person = {
  env: Record<string, string>
  folder: string
  /** What is typed when asked, in turn; with nothing to type there is no terminal. */
  answers: string[]
  types(line: string): Promise<Transcript>
}

type Test = { after(work: () => unknown): void }

/** Somebody with a home of their own, in which nothing is yet. */
export function person(t: Test, env: Record<string, string> = {}): Person {
  const folder = mkdtempSync(join(tmpdir(), 'infra-cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const own: Person = {
    folder,
    env: {
      HOME: folder,
      INFRA_CONFIG_DIR: join(folder, 'config'),
      KUBECONFIG: join(folder, 'kubeconfig'),
      ...env,
    },
    answers: [],
    types: (line) => transcript(own, words(line)),
  }
  return own
}

async function transcript({ env, answers }: Person, typed: string[]): Promise<Transcript> {
  const command = ['infra', ...typed]
  processStarted(command, env)
  let out = ''
  let err = ''
  const isInteractive = answers.length > 0
  const ask = async (question: string): Promise<string> => {
    err += `${printable(question)}\n`
    const answer = answers.shift()
    if (answer === undefined) throw new Failure('invalid', 'nothing was answered')
    return answer
  }
  const terminal: Terminal = {
    env,
    isInteractive,
    out: (text) => (out += `${printableLines(text)}\n`),
    err: (line) => (err += `${printable(line)}\n`),
    ask,
    askSecret: async (question) => {
      const answer = await ask(question)
      secret('password', answer)
      return answer
    },
    now: Date.now,
  }
  const code = await run(typed, terminal)
  processEnded(command, env, { stdout: out, stderr: err })
  return { code, out, err }
}

/** Words as a shell parts them, with double quotes and without the rest of a shell. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
}
