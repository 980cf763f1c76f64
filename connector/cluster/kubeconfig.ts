/**
 * An API server as a kubeconfig's current context names it. Only what a connector can keep its
 * word with is taken: plugins run programs, and an unchecked certificate would show every user's
 * requests to whoever answers, so both are refused, as is everything else that is not understood.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { Failure } from '../../src/wire/failure.ts'
import { reread } from './reread.ts'

/** Where an API server is, and what proves us to it; each is read anew as its file rotates. */
export type ApiServer = {
  host: string
  port: number
  servername: string | null
  ca: () => string
  clientCertificate: (() => { cert: string; key: string }) | null
  credential: () => string | null
}

const Text = z.string().min(1).optional()
const Entries = z.array(z.looseObject({ name: z.string() })).default([])
const ClusterEntry = z.object({
  server: z.string(),
  'certificate-authority': Text,
  'certificate-authority-data': Text,
  'tls-server-name': Text,
  'insecure-skip-tls-verify': z.boolean().optional(),
  'proxy-url': Text,
})
const UserEntry = z.object({
  token: Text,
  tokenFile: Text,
  'client-certificate': Text,
  'client-certificate-data': Text,
  'client-key': Text,
  'client-key-data': Text,
  exec: z.unknown().optional(),
  'auth-provider': z.unknown().optional(),
  username: z.unknown().optional(),
  as: z.unknown().optional(),
})
type UserEntry = z.infer<typeof UserEntry>
const ContextEntry = z.object({ cluster: z.string(), user: z.string() })
const Kubeconfig = z.object({
  'current-context': z.string().min(1),
  contexts: Entries,
  clusters: Entries,
  users: Entries,
})

/** @throws {Failure} `invalid`, in a sentence, for what is missing or not taken. */
export function readKubeconfig(path: string, elapsed: () => number): ApiServer {
  const file = kubeconfigOf(contentOf(path))
  const context = entryOf(file.contexts, 'context', file['current-context'], ContextEntry)
  const cluster = entryOf(file.clusters, 'cluster', context.cluster, ClusterEntry)
  const user = entryOf(file.users, 'user', context.user, UserEntry)
  if (cluster['insecure-skip-tls-verify']) throw refusal('insecure-skip-tls-verify is refused')
  if (cluster['proxy-url']) throw refusal('proxy-url is not supported')
  const read = reader(dirname(path), elapsed)
  const ca = read(cluster['certificate-authority'], cluster['certificate-authority-data'])
  if (!ca) throw refusal('the cluster names no certificate-authority')
  return {
    ...addressOf(cluster.server),
    servername: cluster['tls-server-name'] ?? null,
    ca,
    ...proofOf(user, read),
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Failure('invalid', `KUBECONFIG: cannot read ${path}`, { cause })
  }
}

function kubeconfigOf(text: string): z.infer<typeof Kubeconfig> {
  let document: unknown
  try {
    document = parse(text)
  } catch {
    // The parser quotes the line that it stumbles over, which may hold a token.
    throw refusal('it is not YAML')
  }
  const read = Kubeconfig.safeParse(document)
  if (read.success) return read.data
  throw refusal(`${read.error.issues[0]?.path.join('.') || 'it'} has another shape than expected`)
}

function entryOf<T extends z.ZodType>(
  entries: z.infer<typeof Entries>,
  kind: string,
  name: string,
  shape: T,
): z.output<T> {
  const entry = entries.find((each) => each.name === name)
  const read = shape.safeParse(entry?.[kind])
  if (read.success) return read.data
  throw refusal(`there is no usable ${kind} "${name}"`)
}

function proofOf(
  user: UserEntry,
  read: ReturnType<typeof reader>,
): Pick<ApiServer, 'clientCertificate' | 'credential'> {
  const unsupported = (['exec', 'auth-provider', 'username', 'as'] as const).find(
    (name) => user[name] !== undefined,
  )
  if (unsupported) {
    throw refusal(`${unsupported} is not supported: a connector needs a token or a certificate`)
  }
  const cert = read(user['client-certificate'], user['client-certificate-data'])
  const key = read(user['client-key'], user['client-key-data'])
  if (!cert !== !key) throw refusal('of client-certificate and client-key one is missing')
  const token = user.tokenFile ? read(user.tokenFile, undefined) : user.token && (() => user.token)
  if (!token && !cert) throw refusal('the user has neither a token nor a client certificate')
  return {
    clientCertificate: cert && key ? () => ({ cert: cert(), key: key() }) : null,
    credential: () => (token ? (token()?.trim() ?? null) : null),
  }
}

/** What stands in a file beside the kubeconfig, or in it as base64, which wins as in client-go. */
function reader(folder: string, elapsed: () => number) {
  return (file: string | undefined, data: string | undefined): (() => string) | null => {
    if (data !== undefined) {
      const text = Buffer.from(data, 'base64').toString('utf8')
      return () => text
    }
    return file === undefined ? null : reread(resolve(folder, file), elapsed)
  }
}

function addressOf(server: string): { host: string; port: number } {
  const url = URL.canParse(server) ? new URL(server) : null
  if (url?.protocol !== 'https:') throw refusal('the server is no https URL')
  if (url.pathname !== '/') throw refusal('a server with a path is not supported')
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 443) }
}

function refusal(sentence: string): Failure {
  return new Failure('invalid', `KUBECONFIG: ${sentence}`)
}
