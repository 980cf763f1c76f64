import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import type { Cluster } from './cluster.ts'
import { secret } from '../secrets/record.ts'
import { writeKubeconfig, writeWhole } from './kubeconfig.ts'

export interface ConnectorKubeconfigOptions {
  /** Where to write it; in the cluster's folder by default. */
  path?: string
  /** Where the token is written, to be named by the kubeconfig; within it by default. */
  tokenFile?: string
  /** How long the token lives, an hour by default; the API server's least is ten minutes. */
  tokenSeconds?: number
}

const deploy = join(import.meta.dirname, '..', '..', 'deploy')
/** From this minor version on, clusters know constrained impersonation. */
const constrainedSince = 36
const account = '/api/v1/namespaces/infra/serviceaccounts/infra-connector'

/** What makes the connector's account. The program itself runs outside, so it is left out. */
const accountKinds = ['Namespace', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding']
accountKinds.push('Role', 'RoleBinding', 'ValidatingAdmissionPolicy')
accountKinds.push('ValidatingAdmissionPolicyBinding')

/**
 * A kubeconfig with the rights of `deploy/connector.yaml` and no others: the very file an
 * operator applies, so that a right the connector lacks there is one it lacks in every test.
 */
export async function connectorKubeconfig(
  cluster: Cluster,
  options: ConnectorKubeconfigOptions = {},
): Promise<string> {
  await applyAccount(cluster)
  const token = await requestToken(cluster, options.tokenSeconds ?? 3600)
  const path = options.path ?? join(cluster.dir, 'connector.kubeconfig')
  const { url, caPem } = cluster
  const { tokenFile } = options
  if (tokenFile) await writeWhole(tokenFile, token)
  const credential = tokenFile ? { tokenFile } : { token }
  await writeKubeconfig({ path, url, caPem, user: 'infra-connector', credential })
  return path
}

async function applyAccount(cluster: Cluster): Promise<void> {
  const { body } = await cluster.api('GET', '/version')
  await applyFrom(cluster, 'connector.yaml')
  if (Number.parseInt(body.minor, 10) >= constrainedSince) return
  await applyFrom(cluster, 'connector-before-1.36.yaml')
}

async function applyFrom(cluster: Cluster, manifest: string): Promise<void> {
  const text = await readFile(join(deploy, manifest), 'utf8')
  const documents = parseAllDocuments(text).map((document) => document.toJS())
  const wanted = documents.filter(({ kind }) => accountKinds.includes(kind))
  const file = wanted.map((document) => stringify(document)).join('---\n')
  // Server-side: two test processes that apply it at once do not meet.
  const args = ['apply', '--server-side', '--force-conflicts', '-f', '-']
  const { code, stderr } = await cluster.kubectlAdmin(args, { input: file })
  if (code !== 0) throw new Error(`deploy/${manifest} was not applied: ${stderr}`)
}

async function requestToken(cluster: Cluster, expirationSeconds: number): Promise<string> {
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' }
  const body = { ...asked, spec: { expirationSeconds } }
  const answer = await cluster.api('POST', `${account}/token`, body)
  if (answer.status !== 201) throw new Error(`no token: ${JSON.stringify(answer.body)}`)
  secret('cluster token', answer.body.status.token)
  return answer.body.status.token
}
