/** Runs the real executable in processes of its own, as kubectl does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { processEnded, processStarted } from '../../test/secrets/process.ts'
import type { Transcript } from './transcript.ts'

const main = fileURLToPath(new URL('../main.ts', import.meta.url))

/** The words of a shell that run the CLI. */
export const infra = `"${process.execPath}" "${main}"`

/**
 * Runs a script of `sh`, which is the parent of what runs in it: kubectl's part. The script ends in
 * a command of the shell's own, so that the shell is not replaced by the last program.
 */
export async function shell(script: string, env: Record<string, string>): Promise<Transcript> {
  const command = ['infra', ...script.replaceAll(infra, '').split(' ')]
  processStarted(command, env)
  const child = spawn('/bin/sh', ['-c', `${script}; code=$?; exit $code`], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  await once(child, 'close')
  processEnded(command, env, { stdout: out, stderr: err })
  return { code: child.exitCode ?? -1, out, err }
}
