// A real Kubernetes on this machine: etcd, API server, the controllers that fill roles and
// empty namespaces, and one node whose pods are folders. The connector is tested against it,
// and it ends with the process that started it.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { callApi, type Answer, type KubernetesObject } from './api.ts'
import { until } from './children.ts'
import { connectorKubeconfig, type ConnectorKubeconfigOptions } from './connector.ts'
import { launch, type ClusterFacts, type LaunchOptions } from './launch.ts'

export { until } from './children.ts'
export type { ClusterFacts } from './launch.ts'

export interface Cluster extends ClusterFacts {
  /** The path of kubectl. */
  kubectl: string
  /** Runs kubectl as the administrator. */
  kubectlAdmin: (args: string[], options?: RunOptions) => Promise<Ran>
  /** A request as the administrator: where kubectl's start would take longer than its work. */
  api: (method: string, path: string, body?: unknown) => Promise<Answer>
  /** Makes a pod, and its namespace where there is none, and waits until it runs. */
  createPod: (pod: NewPod) => Promise<void>
  connectorKubeconfig: (options?: ConnectorKubeconfigOptions) => Promise<string>
  /** The streams that the API server has opened and closed at the node so far. */
  streamEvents: () => Promise<StreamEvent[]>
  /** What the API server has been asked so far: its audit log. */
  auditEvents: () => Promise<KubernetesObject[]>
  /** Stops what this process started; a cluster it was only handed goes on. */
  stop: () => Promise<void>
  toJSON: () => ClusterFacts
}

export interface NewPod {
  namespace: string
  name: string
  /** Its log grows by a line `tick N` every 200 ms. */
  ticks?: boolean
}

export interface StreamEvent {
  event: 'opened' | 'closed'
  kind: 'exec' | 'attach' | 'logs' | 'portforward'
  namespace: string
  pod: string
  container: string
  command: string[] | null
  at: string
}

export interface RunOptions {
  input?: string | Uint8Array
  env?: Record<string, string>
}

export interface Ran {
  stdout: string
  stderr: string
  /** 128 and more when a signal ended it. */
  code: number
}

/** Starts a cluster in a folder of its own. Building it, the first time, takes minutes. */
export async function startCluster(options: LaunchOptions): Promise<Cluster> {
  const { facts, stop } = await launch(options)
  return clusterOf(facts, stop)
}

/** A cluster that another process started and will stop. */
export function attachCluster(facts: ClusterFacts): Cluster {
  return clusterOf(facts, async () => {})
}

let shared: Promise<Cluster> | undefined

/**
 * The one cluster of this process: the one that `INFRA_TEST_CLUSTER` names (a file of
 * `JSON.stringify(cluster)`), or else one of its own that ends with the process. Tests that
 * share it keep apart by namespaces of their own.
 */
export function sharedCluster(): Promise<Cluster> {
  shared ??= findCluster()
  return shared
}

async function findCluster(): Promise<Cluster> {
  const handed = process.env['INFRA_TEST_CLUSTER']
  if (handed) return attachCluster(JSON.parse(readFileSync(handed, 'utf8')) as ClusterFacts)
  const dir = mkdtempSync(join(tmpdir(), 'infra-cluster-'))
  return startCluster({ dir, removeDirAtExit: true })
}

function clusterOf(facts: ClusterFacts, stop: () => Promise<void>): Cluster {
  const server = { url: facts.url, caPem: facts.caPem, token: facts.adminToken }
  const kubectl = join(facts.programs, 'kubectl')
  const adminEnv = { HOME: facts.dir, KUBECONFIG: facts.adminKubeconfig }
  const cluster: Cluster = {
    ...facts,
    kubectl,
    kubectlAdmin: (args, options = {}) =>
      run(kubectl, args, { ...options, env: { ...adminEnv, ...options.env } }),
    api: (method, path, body) => callApi(server, method, path, body),
    createPod: (pod) => createPod(cluster, pod),
    connectorKubeconfig: (options) => connectorKubeconfig(cluster, options),
    streamEvents: () => readLines<StreamEvent>(facts.eventsFile),
    auditEvents: () => readLines(facts.auditFile),
    stop,
    toJSON: () => facts,
  }
  return cluster
}

async function readLines<T>(path: string): Promise<T[]> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  // What follows the last line's end is a line that is still being written.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as T)
}

async function createPod(cluster: Cluster, { namespace, name, ticks }: NewPod): Promise<void> {
  const pods = `/api/v1/namespaces/${namespace}/pods`
  await create(cluster, '/api/v1/namespaces', { metadata: { name: namespace } })
  await create(cluster, pods, {
    metadata: { name, annotations: { 'test/ticks': `${ticks ?? false}` } },
    // Bound at once: there is no scheduler.
    spec: { nodeName: 'node-1', containers: [{ name: 'main', image: 'stand-in' }] },
  })
  await until(`pod ${namespace}/${name} to run`, async () => {
    const { body } = await cluster.api('GET', `${pods}/${name}`)
    return body.status?.phase === 'Running'
  })
}

async function create(cluster: Cluster, path: string, object: object): Promise<void> {
  const { status, body } = await cluster.api('POST', path, object)
  if (status !== 201 && status !== 409) throw new Error(`${path}: ${body.message ?? body}`)
}

/** Runs a program to its end. It sees little of this process's environment: no HOME, no KUBECONFIG. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<Ran> {
  const env = { PATH: process.env['PATH'] ?? '', ...options.env }
  return new Promise((done, fail) => {
    const child = spawn(program, args, { env, stdio: 'pipe' })
    const ran = { stdout: '', stderr: '', code: 0 }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.stderr += text))
    child.on('error', fail)
    child.on('close', (code) => done({ ...ran, code: code ?? 128 }))
    // A program that ends without reading all of its input is not a failure of ours.
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
  })
}
