/** What a process of the suite was started with, and all that it has said. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { harvest, harvestFiles } from './harvest.ts'
import { type Place, recordFolder, secret, written } from './record.ts'

type Environment = Readonly<Record<string, string | undefined>>
type Said = { stdout: string; stderr: string }

/** Its arguments, which every user of a machine can read, and the credentials it is handed. */
export function processStarted(command: readonly string[], env: Environment): void {
  written('argv', nameOf(command), command.join('\n'))
  secret('password', env['INFRA_PASSWORD'])
  secret('password', env['INFRA_NEW_PASSWORD'])
  secret('password', env['INFRA_ADMIN_PASSWORD'])
  secret('access key', env['INFRA_ACCESS_KEY'])
  secret('access key', env['INFRA_ADMIN_ACCESS_KEY'])
  secret('database password', passwordOf(env['DATABASE_URL']))
  secret('proxy password', passwordOf(env['HTTPS_PROXY'] ?? env['HTTP_PROXY']))
}

/** What it said, and the credentials that it was given meanwhile: they are in its files. */
export function processEnded(
  command: readonly string[],
  env: Environment,
  { stdout, stderr }: Said,
): void {
  if (!recordFolder()) return
  const where = nameOf(command)
  const [out, err] = placesOf(command)
  written(out, where, stdout)
  written(err, where, stderr)
  harvest(stdout)
  for (const name of ['INFRA_CONFIG_DIR', 'INFRA_DATA_DIR', 'INFRA_CONNECTOR_DATA_DIR']) {
    if (env[name]) harvestFiles(env[name])
  }
  if (env['KUBECONFIG']) kubeconfig(where, env['KUBECONFIG'], isPersons(env))
}

/** A person's kubeconfig names a command and holds no credential; a connector's holds its own. */
function kubeconfig(where: string, path: string, isPersons: boolean): void {
  try {
    const text = readFileSync(path, 'utf8')
    if (isPersons) written('kubeconfig', where, text)
    else for (const [, token] of text.matchAll(/\btoken: (\S+)/g)) secret('cluster token', token)
  } catch {
    // None was written.
  }
}

function isPersons(env: Environment): boolean {
  return env['INFRA_CONFIG_DIR'] !== undefined
}

function placesOf(command: readonly string[]): [out: Place, err: Place] {
  const program = basename(command[0] ?? '')
  if (program.startsWith('dex')) return ['provider log', 'provider log']
  if (program === 'etcd') return ['cluster log', 'cluster log']
  if (program === 'kubectl') return ['kubectl out', 'kubectl err']
  if (command.slice(1, 4).includes('server')) return ['server log', 'server log']
  if (command.slice(1, 4).includes('connector')) return ['connector log', 'connector log']
  return ['CLI out', 'CLI err']
}

/** `infra users add`, for a reader: the paths before and the flags behind say nothing more. */
function nameOf(command: readonly string[]): string {
  const words = command.map((word) => basename(word)).filter((word) => !word.startsWith('-'))
  return words.slice(0, 5).join(' ').replace(/\s+/g, ' ').slice(0, 80)
}

function passwordOf(url: string | undefined): string | undefined {
  const password = url === undefined ? undefined : URL.parse(url)?.password
  return password && decodeURIComponent(password)
}
