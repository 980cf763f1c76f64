/** What the bindings' tests stand on: Access in short, and an API server reduced to bindings. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import type { Access } from '../../src/wire/access.ts'
import { Directory } from '../directory.ts'
import { Binding, bindingFor, type ClusterApi, type RoleInUse } from './binding.ts'
import { Roles } from './roles.ts'

export const now = Date.parse('2026-01-01T00:00:00Z')
export const everywhere = (role: string): RoleInUse => ({ role, namespace: null })

export function access(
  grants: [role: string, namespace: string | null, expiresAt?: string][],
): Access {
  return {
    destination: { id: 'd1', name: 'prod' },
    epoch: 'e',
    revision: 1,
    issuer: 'https://infra.example.com',
    leaseSeconds: 360,
    onLeaseEnd: 'cut',
    users: [{ id: 'u1', email: 'ana@example.com', groups: [], ended: [] }],
    groups: [],
    grants: grants.map(([role, namespace, expiresAt = null], index) => ({
      id: `g${index}`,
      subject: { kind: 'user', id: 'u1' },
      role,
      namespace,
      expiresAt,
    })),
    signingKeys: [],
  }
}

/** What the API server would give back of a binding that we made. */
export function found(
  wanted: RoleInUse,
  change: (binding: Binding) => void = () => {},
  destinationId = 'd1',
): Binding {
  const { metadata, roleRef, subjects } = bindingFor(destinationId, wanted)
  const kept = { ...metadata, uid: `uid-${wanted.role}`, resourceVersion: '7' }
  const binding = { metadata: kept, roleRef, subjects }
  change(binding)
  return binding
}

/** What is sent to the API server: a binding to create, or what to delete it by. */
const Sent = z.object({
  metadata: z.looseObject({ name: z.string() }).default({ name: '' }),
  preconditions: z
    .object({ uid: z.string(), resourceVersion: z.string() })
    .default({ uid: '', resourceVersion: '' }),
})

/**
 * An API server reduced to bindings: keeps what it is given, filters by labels, honours
 * preconditions, knows the namespaces `web` and `db`, and has every role but `absent`.
 */
export async function cluster(t: Pick<TestContext, 'after'>) {
  const objects = new Map<string, Binding>()
  const calls: string[] = []
  const refusals = new Map<string, number>()
  let serial = 0
  const keep = (path: string, binding: { metadata: { name: string } }) => {
    serial += 1
    const metadata = { ...binding.metadata, uid: `uid-${serial}`, resourceVersion: String(serial) }
    objects.set(`${path}/${metadata.name}`, Binding.parse({ ...binding, metadata }))
  }
  const answer = (method: string, url: URL, body: unknown): [number, object] => {
    const path = decodeURIComponent(url.pathname)
    const refusal = [...refusals].find(([part]) =>
      `${method} ${path} ${JSON.stringify(body)}`.includes(part),
    )
    if (refusal) return [refusal[1], { message: 'refused' }]
    if (path.includes('/clusterroles/')) return [path.endsWith('/absent') ? 404 : 200, {}]
    if (method === 'GET') {
      const wanted = (url.searchParams.get('labelSelector') ?? '')
        .split(',')
        .map((l) => l.split('='))
      const kind = path.split('/').at(-1) ?? ''
      const items = [...objects].filter(([at]) => at.includes(`/${kind}/`)).map(([, each]) => each)
      const fits = (each: Binding) => wanted.every(([n = '', v]) => each.metadata.labels[n] === v)
      return [200, { items: items.filter(fits) }]
    }
    const namespace = /namespaces\/([^/]+)/.exec(path)?.[1]
    if (namespace && !['web', 'db'].includes(namespace)) {
      return [404, { message: `namespaces "${namespace}" not found` }]
    }
    const sent = Sent.parse(body)
    if (method === 'POST') {
      if (objects.has(`${path}/${sent.metadata.name}`)) return [409, { message: 'already exists' }]
      keep(path, z.looseObject(Sent.shape).parse(body))
      return [201, {}]
    }
    const { uid, resourceVersion } = sent.preconditions
    const kept = objects.get(path)?.metadata
    if (kept?.uid !== uid || kept.resourceVersion !== resourceVersion) {
      return [409, { message: 'changed' }]
    }
    objects.delete(path)
    return [200, {}]
  }
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (part) => (text += part))
    request.on('end', () => {
      const method = request.method ?? ''
      const url = new URL(request.url ?? '', 'http://cluster')
      const [status, body] = answer(method, url, text === '' ? undefined : JSON.parse(text))
      if (method !== 'GET') calls.push(`${method} ${status}`)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  const port = portOf(server.address())
  const ask: ClusterApi = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { connection: 'close' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, body: await response.json() }
  }
  return { ask, objects, calls, refusals, keep }
}

export type Cluster = Awaited<ReturnType<typeof cluster>>

/** Roles over that cluster; `settled` waits until a run has been asked for and is over. */
export function roles(t: TestContext, ask: ClusterApi, first: Access | null, everyMs = 20) {
  const problems: string[][] = []
  const complaints: string[] = []
  let current = first
  let runs = 0
  let heard: (() => void) | null = null
  const kept = new Roles({
    ask,
    current: () => {
      runs += 1
      if (heard) setImmediate(heard)
      if (!current) return null
      const { destination } = current
      return { destinationId: destination.id, inUse: new Directory(current).rolesInUse(now) }
    },
    log: (_level, _message, facts) => complaints.push(String(facts?.['complaint'])),
    onProblems: (now) => problems.push(now),
    everyMs,
  })
  t.after(() => kept.close())
  /** Two more runs have begun, so one that began after this call is over. */
  const settled = () =>
    new Promise<void>((done) => {
      const until = runs + 2
      heard = () => runs >= until && done()
    })
  return {
    kept,
    problems,
    complaints,
    settled,
    take: (next: Access | null) => {
      current = next
      kept.changed()
    },
  }
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address ? address.port : 0
}
