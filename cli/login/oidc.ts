/**
 * Logging in with a provider, by the loopback relay (architecture: RFC 8252). The CLI carries the
 * provider's answer to the server, unread but for `state`, together with a verifier that only this
 * process knows: an answer that is stolen on the way is good for nothing (security.md L4).
 */
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Client } from '../../src/wire/client.ts'
import { Failure } from '../../src/wire/failure.ts'
import type { LoginOffer, StartedSession } from '../../src/wire/login.ts'
import { printable } from '../../src/wire/names.ts'
import { hinted } from '../hint.ts'
import { locked } from '../lock.ts'
import { configFolder } from '../disk/places.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { openBrowser, webUrl } from './browser.ts'
import { type Callback, Loopback } from './loopback.ts'

export type OfferedProvider = LoginOffer['providers'][number]
export type OidcLogin = {
  client: Client
  provider: OfferedProvider
  opensBrowser: boolean
  waitMs: number
}

/** The ports to register at providers that compare redirect URIs exactly. */
const agreedPorts = [8000, 18000]

/** One login at a time: a second one would only take the other's port and browser tab (K3). */
export async function loginWithProvider(
  terminal: Terminal,
  login: OidcLogin,
): Promise<StartedSession> {
  const lock = join(configFolder(terminal.env), 'login.lock')
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  process.once('SIGINT', interrupt)
  try {
    return await locked(lock, 0, () => relay(terminal, login, interrupted.signal))
  } catch (error) {
    if (!(error instanceof Failure) || !error.message.endsWith(lock)) throw error
    throw hinted(
      new Failure('conflict', 'another infra login is waiting for a browser'),
      'finish that one, or end it with Ctrl-C',
    )
  } finally {
    process.off('SIGINT', interrupt)
  }
}

async function relay(
  terminal: Terminal,
  { client, provider, opensBrowser, waitMs }: OidcLogin,
  interrupted: AbortSignal,
): Promise<StartedSession> {
  const loopback = await Loopback.open({
    provider: provider.name,
    host: provider.loopbackHost,
    ports: provider.anyLoopbackPort ? [...agreedPorts, 0] : agreedPorts,
  })
  try {
    const verifier = randomBytes(32).toString('base64url')
    const begun = await client.login.beginOidc({
      provider: provider.name,
      redirectUri: loopback.redirectUri,
      challenge: createHash('sha256').update(verifier).digest('base64url'),
    })
    const arrived = loopback.callback(begun.state, waitMs, interrupted)
    const [callback] = await Promise.all([
      arrived,
      send(terminal, begun.authorizationUrl, opensBrowser),
    ])
    return await finish(client, begun.login, verifier, callback)
  } finally {
    loopback.close()
  }
}

/** The URL is always printed: the browser may open elsewhere, or not at all. */
async function send(terminal: Terminal, address: string, opensBrowser: boolean): Promise<void> {
  const url = webUrl(address)
  terminal.err('Open this page to log in:')
  terminal.err(`  ${url}`)
  if (!opensBrowser || isBackground(terminal)) return
  const problem = await openBrowser(url, terminal.env)
  if (problem !== null) terminal.err(`The browser could not be started (${problem}).`)
}

/**
 * Whether nobody is there who asked for a browser (security.md K3): one that opens by itself, over and
 * over behind a program, is what people learn to click away. `BROWSER` is asking, but not beneath
 * kubectl, which hands it on with everything else.
 */
function isBackground({ env, isInteractive }: Terminal): boolean {
  return env['KUBERNETES_EXEC_INFO'] !== undefined || (!isInteractive && !env['BROWSER']?.trim())
}

/**
 * The page waits for the server: it says that somebody is logged in only once it is so. A refusal
 * of the provider's goes the same way, so that the server ends the login that it had begun.
 */
async function finish(
  client: Client,
  login: string,
  verifier: string,
  callback: Callback,
): Promise<StartedSession> {
  try {
    const started = await client.login.finishOidc({ login, verifier, callback: callback.query })
    await callback.show({
      isLoggedIn: true,
      sentence: 'You can close this page and go back to the terminal.',
    })
    return started
  } catch (error) {
    const said = error instanceof Failure ? printable(error.message) : 'something went wrong'
    await callback.show({ isLoggedIn: false, sentence: `The server says: ${said}.` })
    throw error
  }
}
