/** Opens a URL in the person's browser. Never through a shell: the URL comes from a server. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Failure } from '../../src/wire/failure.ts'
import type { Environment } from '../disk/places.ts'

/**
 * Starts the command that `BROWSER` names, else the system's, with the URL as its last argument.
 * Gives the reason where it did not start; the URL has been printed anyway.
 */
export function openBrowser(url: string, env: Environment): Promise<string | null> {
  const [command = '', ...args] = browserCommand(env)
  return new Promise((resolve) => {
    const child = spawn(command, [...args, url], {
      stdio: 'ignore',
      detached: true,
      env: withoutOurs(env),
    })
    child.once('error', (error) => resolve(error.message))
    child.once('spawn', () => {
      // The login does not wait for the browser to be closed.
      child.unref()
      resolve(null)
    })
  })
}

/** The URL that a server wants opened: only a web page, never another scheme or a flag. */
export function webUrl(text: string): string {
  try {
    const url = new URL(text)
    if (url.protocol === 'https:' || url.protocol === 'http:') return url.href
  } catch {
    // Refused below.
  }
  throw new Failure(
    'unavailable',
    'the server named an address for the browser that is no web page',
  )
}

/** Passwords and keys that we are given by environment are none of a browser's business. */
function withoutOurs(env: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('INFRA_')))
}

function browserCommand({ BROWSER }: Environment): string[] {
  if (BROWSER?.trim()) return existsSync(BROWSER) ? [BROWSER] : BROWSER.trim().split(/\s+/)
  if (process.platform === 'darwin') return ['open']
  if (process.platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler']
  return ['xdg-open']
}
