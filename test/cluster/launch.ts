import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { callApi, type ApiServer } from './api.ts'
import { clusterPrograms } from './build.ts'
import { freePorts } from '../ports.ts'
import { Child, until } from './children.ts'
import { secret, writtenFile } from '../secrets/record.ts'
import { writeKubeconfig } from './kubeconfig.ts'

/** What there is to know of a running cluster, as it travels to another process. */
export interface ClusterFacts {
  dir: string
  programs: string
  url: string
  caPem: string
  adminToken: string
  adminKubeconfig: string
  eventsFile: string
  auditFile: string
}

export interface Launched {
  facts: ClusterFacts
  stop: () => Promise<void>
}

export interface LaunchOptions {
  /** The run's own folder: it must not hold another cluster. */
  dir: string
  log?: (line: string) => void
  /** Remove the folder when this process ends without having stopped the cluster. */
  removeDirAtExit?: true
}

/** Starts all programs of a cluster; when it returns, the cluster is ready for its first pod. */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const log = options.log ?? (() => {})
  const programs = await clusterPrograms()
  const [etcdPort, peerPort, apiPort] = await freePorts(3)
  const facts = await prepare(options.dir, programs, `https://127.0.0.1:${apiPort}`)
  const children: Child[] = []
  const start = (program: string, args: string[], tetherArgs: string[] = []) => {
    log(`starting ${program}`)
    const tether = join(programs, 'kubelet-stand-in')
    children.push(new Child(tether, join(programs, program), args, facts.dir, tetherArgs))
  }
  const stop = async () => {
    await stopInOrder(children)
    writtenFile('audit log', 'kube-apiserver', facts.auditFile)
  }
  try {
    const atExit = options.removeDirAtExit ? ['--remove', facts.dir] : []
    start('etcd', etcdArgs(facts, `${etcdPort}`, `${peerPort}`), atExit)
    start('kube-apiserver', apiServerArgs(facts, `${etcdPort}`, `${apiPort}`))
    await untilReady('the API server', children, facts, isServing)
    start('kube-controller-manager', controllerArgs(facts))
    start('kubelet-stand-in', nodeArgs(facts))
    await untilReady('roles, namespace and node', children, facts, isFurnished)
    log(`ready at ${facts.url}`)
    return { facts, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * The API server ends before its etcd: otherwise it would linger for minutes and hold its
 * port. It also waits for those who watch it, so these end at the same time.
 */
async function stopInOrder(children: Child[]): Promise<void> {
  await Promise.all(children.filter((child) => !isEtcd(child)).map((child) => child.stop()))
  await Promise.all(children.filter(isEtcd).map((child) => child.stop()))
}

function isEtcd({ name }: Child): boolean {
  return name === 'etcd'
}

async function prepare(dir: string, programs: string, url: string): Promise<ClusterFacts> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const standIn = join(programs, 'kubelet-stand-in')
  await promisify(execFile)(standIn, ['certificates', join(dir, 'certificates')])
  const adminToken = randomBytes(24).toString('hex')
  secret('cluster token', adminToken)
  await write(join(dir, 'tokens.csv'), `${adminToken},admin,admin,"system:masters"\n`)
  await write(join(dir, 'audit-policy.json'), JSON.stringify(auditPolicy))
  const eventsFile = join(dir, 'events.jsonl')
  const auditFile = join(dir, 'audit.jsonl')
  await write(eventsFile, '')
  await write(auditFile, '')
  const caPem = await readFile(join(dir, 'certificates', 'ca.crt'), 'utf8')
  const adminKubeconfig = join(dir, 'admin.kubeconfig')
  const credential = { token: adminToken }
  await writeKubeconfig({ path: adminKubeconfig, url, caPem, user: 'admin', credential })
  return { dir, programs, url, caPem, adminToken, adminKubeconfig, eventsFile, auditFile }
}

function write(path: string, text: string): Promise<void> {
  return writeFile(path, text, { mode: 0o600 })
}

/** Who asked for what and as whom, of every request and at every stage; no bodies. */
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  rules: [{ level: 'Metadata' }],
}

function etcdArgs({ dir }: ClusterFacts, port: string, peerPort: string): string[] {
  const client = `http://127.0.0.1:${port}`
  const peer = `http://127.0.0.1:${peerPort}`
  return [
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // Nothing here outlives a loss of power, and nothing has to.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

function apiServerArgs({ dir, auditFile }: ClusterFacts, etcdPort: string, port: string): string[] {
  const certificates = join(dir, 'certificates')
  const at = (name: string) => join(certificates, name)
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${certificates}`,
    `--tls-cert-file=${at('apiserver.crt')}`,
    `--tls-private-key-file=${at('apiserver.key')}`,
    `--client-ca-file=${at('ca.crt')}`,
    `--token-auth-file=${join(dir, 'tokens.csv')}`,
    `--service-account-key-file=${at('service-accounts.key')}`,
    `--service-account-signing-key-file=${at('service-accounts.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--authorization-mode=RBAC',
    // Pods here have no account of their own.
    '--disable-admission-plugins=ServiceAccount',
    '--kubelet-preferred-address-types=InternalIP',
    `--kubelet-certificate-authority=${at('kubelet-ca.crt')}`,
    `--kubelet-client-certificate=${at('kubelet-client.crt')}`,
    `--kubelet-client-key=${at('kubelet-client.key')}`,
    `--audit-policy-file=${join(dir, 'audit-policy.json')}`,
    `--audit-log-path=${auditFile}`,
    // Written before the request is answered, so that a test need not wait for it.
    '--audit-log-mode=blocking-strict',
  ]
}

function controllerArgs({ adminKubeconfig }: ClusterFacts): string[] {
  return [
    `--kubeconfig=${adminKubeconfig}`,
    '--controllers=clusterrole-aggregation-controller,namespace-controller,serviceaccount-controller',
    '--leader-elect=false',
    '--secure-port=0',
  ]
}

function nodeArgs({ dir, adminKubeconfig, eventsFile }: ClusterFacts): string[] {
  return [
    'node',
    '--name=node-1',
    `--kubeconfig=${adminKubeconfig}`,
    `--certificates=${join(dir, 'certificates')}`,
    `--events-file=${eventsFile}`,
    `--scratch=${join(dir, 'pods')}`,
  ]
}

type Look = (server: ApiServer) => Promise<boolean>

async function untilReady(what: string, children: Child[], facts: ClusterFacts, look: Look) {
  const server = { url: facts.url, caPem: facts.caPem, token: facts.adminToken }
  await until(what, async () => {
    for (const child of children) child.assertRuns()
    // Refused connections are part of starting.
    return look(server).catch(() => false)
  })
}

async function isServing(server: ApiServer): Promise<boolean> {
  const { status, body } = await callApi(server, 'GET', '/readyz')
  return status === 200 && body === 'ok'
}

/** Aggregated roles are empty until a controller fills them, and a node is not there at once. */
async function isFurnished(server: ApiServer): Promise<boolean> {
  const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles'
  for (const name of ['view', 'edit', 'admin']) {
    const { body } = await callApi(server, 'GET', `${roles}/${name}`)
    if (!body.rules?.length) return false
  }
  const namespace = await callApi(server, 'GET', '/api/v1/namespaces/default')
  const node = await callApi(server, 'GET', '/api/v1/nodes/node-1')
  return (
    namespace.status === 200 && Boolean(node.body.status?.daemonEndpoints?.kubeletEndpoint.Port)
  )
}
