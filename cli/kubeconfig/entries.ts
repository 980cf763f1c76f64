/**
 * What the kubeconfig should hold for a destination. Everything here came from a server, and ends up
 * in a file that says which programs kubectl runs and whom it trusts: so it is checked again, and
 * written field by field (security.md K1, CVE-2022-24817).
 */
import { X509Certificate } from 'node:crypto'
import { Endpoint, type MyDestination } from '../../src/wire/destinations.ts'
import { DestinationName, Id, Namespace, printable } from '../../src/wire/names.ts'
import { fieldOf } from '../disk/unknown.ts'
import type { Named } from './document.ts'

/** How kubectl starts this program. */
export type OwnCommand = { command: string; args: string[] }
export type Pin = { server: string; session: string; configFolder: string | null; own: OwnCommand }

const apiVersion = 'client.authentication.k8s.io/v1'
const dnsName = /^[a-zA-Z0-9]([-a-zA-Z0-9.]{0,251}[a-zA-Z0-9])?$/

/** Why a destination cannot be written, or null where it can. */
export function problemOf(destination: MyDestination): string | null {
  const shown = printable(JSON.stringify(destination.name))
  if (!isPlainId(destination.id) || !DestinationName.safeParse(destination.name).success) {
    return `the server named a destination ${shown}, which is no name`
  }
  if (destination.endpoint === null) return `${destination.name} has no connector yet`
  if (!isEndpoint(destination.endpoint))
    return `the endpoint of ${destination.name} is not host:port`
  if (!dnsName.test(destination.tlsServerName))
    return `the TLS name of ${destination.name} is no name`
  if (certificatesIn(destination.ca) === null)
    return `the CA of ${destination.name} is no certificate`
  const bad = namespacesOf(destination).find((name) => !Namespace.safeParse(name).success)
  return bad === undefined ? null : `${destination.name} has a namespace that is no name`
}

/** The namespaces that have a grant of their own. */
export function namespacesOf({ roles }: Pick<MyDestination, 'roles'>): string[] {
  const named = roles.flatMap(({ namespace }) => namespace ?? [])
  return [...new Set(named)].toSorted()
}

export function clusterEntry(name: string, { endpoint, ca, tlsServerName }: MyDestination): Named {
  return {
    name,
    cluster: {
      'certificate-authority-data': Buffer.from(certificatesIn(ca) ?? '').toString('base64'),
      server: `https://${endpoint}`,
      'tls-server-name': tlsServerName,
    },
  }
}

export function userEntry(
  name: string,
  destination: string,
  { server, session, configFolder, own }: Pin,
): Named {
  return {
    name,
    user: {
      exec: {
        apiVersion,
        args: [
          ...own.args,
          'tokens',
          'create',
          destination,
          '--server',
          server,
          '--session',
          session,
        ],
        command: own.command,
        ...(configFolder === null
          ? {}
          : { env: [{ name: 'INFRA_CONFIG_DIR', value: configFolder }] }),
        interactiveMode: 'Never',
        provideClusterInfo: false,
      },
    },
  }
}

export function contextEntry(name: string, base: string, namespace: string | null): Named {
  return {
    name,
    context: { cluster: base, ...(namespace === null ? {} : { namespace }), user: base },
  }
}

/** What an entry of ours is pinned to; null where it is not ours, whatever it is called. */
export function pinOf(user: Named): { server: string; destination: string } | null {
  if (typeof user.name !== 'string' || !user.name.startsWith('infra:')) return null
  const args = fieldOf(fieldOf(user['user'], 'exec'), 'args')
  if (!Array.isArray(args)) return null
  const verb = args.findIndex((word, at) => word === 'tokens' && args[at + 1] === 'create')
  const flag = args.indexOf('--server')
  const [destination, server] = [args[verb + 2] as unknown, args[flag + 1] as unknown]
  if (verb === -1 || flag === -1) return null
  return typeof destination === 'string' && typeof server === 'string'
    ? { server, destination }
    : null
}

/** The command that kubectl runs: the one executable, or a checkout's runtime and script. */
export function ownCommand(execPath: string, script: string | undefined): OwnCommand {
  const isCompiled =
    script === undefined || script.startsWith('/$bunfs/') || script.includes('~BUN')
  return { command: execPath, args: isCompiled ? [] : [script] }
}

/** An id that cannot be read as a flag where it becomes an argument. */
function isPlainId(id: string): boolean {
  return Id.safeParse(id).success && !id.startsWith('-')
}

function isEndpoint(endpoint: string): boolean {
  return (
    Endpoint.safeParse(endpoint).success &&
    Number(endpoint.slice(endpoint.lastIndexOf(':') + 1)) <= 65_535
  )
}

/** The certificates in a PEM, and nothing else of it; null where there is none, or one is broken. */
function certificatesIn(pem: string): string | null {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    const certificates = blocks.map((block) => new X509Certificate(block).toString())
    return certificates.length === 0
      ? null
      : certificates.map((one) => one.trimEnd() + '\n').join('')
  } catch {
    return null
  }
}
