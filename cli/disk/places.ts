/** Where the CLI keeps what it keeps. Imports nothing heavy: the plugin's fast path needs it. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

export type Environment = Readonly<Record<string, string | undefined>>

/** The folder of sessions and cached tokens: absolute, so that it can be written into kubeconfigs. */
export function configFolder(env: Environment): string {
  if (env['INFRA_CONFIG_DIR']) return resolve(env['INFRA_CONFIG_DIR'])
  if (env['XDG_CONFIG_HOME']) return join(resolve(env['XDG_CONFIG_HOME']), 'infra')
  return join(homeFolder(env), '.config', 'infra')
}

export function homeFolder(env: Environment): string {
  return env['HOME'] || homedir()
}
