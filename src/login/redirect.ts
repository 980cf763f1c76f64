import { Failure } from '../wire/failure.ts'

/** What an administrator registers at providers that compare redirect URIs exactly. */
const agreedPorts = [8000, 18000]

/**
 * Refuses a redirect URI that is not the CLI's loopback address for this very provider: the code
 * of a login must reach nobody else (RFC 8252 section 7.3), and an address of its own per provider
 * is what stops a mix-up where the provider does not send `iss` (RFC 9700 section 4.4).
 *
 * @throws {Failure} `invalid`
 */
export function judgeRedirectUri(
  redirectUri: string,
  provider: { name: string; loopbackHost: string; anyLoopbackPort: boolean },
): void {
  const { name, loopbackHost, anyLoopbackPort } = provider
  // The text is compared and never parsed: a URL that is only read as ours is another's.
  const [, port] = /^http:\/\/[a-z0-9.]+:([1-9][0-9]{0,4})\//.exec(redirectUri) ?? []
  const isOurs =
    port !== undefined && redirectUri === `http://${loopbackHost}:${port}/callback/${name}`
  const isAgreed = anyLoopbackPort ? Number(port) <= 65_535 : agreedPorts.includes(Number(port))
  if (isOurs && isAgreed) return
  const ports = anyLoopbackPort ? 'PORT' : agreedPorts.join(' or ')
  throw new Failure(
    'invalid',
    `redirectUri: must be http://${loopbackHost}:${ports}/callback/${name}`,
  )
}
