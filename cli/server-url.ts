/** A server as people write it, and as it is kept: one spelling, so that it is one server. */
import { Failure } from '../src/wire/failure.ts'
import { hinted, Misuse } from './hint.ts'
import { type Environment } from './disk/places.ts'
import { isOn } from './terminal/terminal.ts'

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * `https://` is added where no scheme is written. Plain HTTP would show passwords and sessions to
 * the network: it is for this machine only, unless the environment says otherwise, loudly.
 *
 * @example
 * serverUrl('infra.example.com', {}) // 'https://infra.example.com'
 */
export function serverUrl(text: string, env: Environment): string {
  const url = parsed(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`)
  if (!url || !['https:', 'http:'].includes(url.protocol)) {
    throw new Misuse(`"${text}" is not the URL of a server`)
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Misuse('the URL of a server has no user, query or fragment')
  }
  if (
    url.protocol === 'http:' &&
    !loopback.has(url.hostname) &&
    !isOn(env['INFRA_INSECURE_HTTP'])
  ) {
    throw hinted(
      new Failure('invalid', 'plain HTTP shows your credentials to the network'),
      `use https://${url.host}, or set INFRA_INSECURE_HTTP=true to accept that`,
    )
  }
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`
}

function parsed(text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}
