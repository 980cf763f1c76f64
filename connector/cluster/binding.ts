/**
 * A binding that the connector keeps in the cluster: a ClusterRole, bound to the one group that a
 * grant of it is impersonated with. Bindings name no person, so they change only when a role comes
 * into use or goes out of it. What is not ours is never seen here: the list is by both labels
 * and by name (security.md P6).
 */
import type { RoleInUse } from '../directory.ts'
import { z } from 'zod'
import { grantGroup } from '../../src/wire/access.ts'
import { Failure } from '../../src/wire/failure.ts'

/** A role in use: everywhere, or in one namespace. */
export type { RoleInUse }

/** Asks the API server; any status comes back, only an unreachable server is thrown. */
export type ClusterApi = (
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
) => Promise<{ status: number; body: unknown }>

const rbac = 'rbac.authorization.k8s.io'
const api = `/apis/${rbac}/v1`
const managedBy = 'app.kubernetes.io/managed-by'
const instance = 'app.kubernetes.io/instance'

/** A binding as it stands in the cluster. */
export const Binding = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    uid: z.string(),
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
  roleRef: z.object({ apiGroup: z.string(), kind: z.string(), name: z.string() }),
  // A hand may have emptied the list, and then the API server leaves it out.
  subjects: z
    .array(
      z.object({
        kind: z.string(),
        apiGroup: z.string().optional(),
        name: z.string(),
        namespace: z.string().optional(),
      }),
    )
    .default([]),
})
export type Binding = z.infer<typeof Binding>
const BindingList = z.object({ items: z.array(Binding) })
const Refused = z.object({ message: z.string() })

/**
 * The name of a binding: a path segment, as RBAC wants it, which says whose it is and what for. A
 * role's name may hold colons and stays unambiguous, since it comes last and ids hold none.
 */
export function bindingName(destinationId: string, role: string): string {
  return `infra:${destinationId}:${role}`
}

/** What the API server is told to keep. */
export function bindingFor(destinationId: string, { role, namespace }: RoleInUse) {
  return {
    apiVersion: `${rbac}/v1`,
    kind: namespace === null ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: {
      name: bindingName(destinationId, role),
      ...(namespace === null ? {} : { namespace }),
      labels: { [managedBy]: 'infra', [instance]: destinationId },
    },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'Group', apiGroup: rbac, name: grantGroup({ role, namespace }) }],
  }
}

/** Whether a binding still says what it was made to say, whatever a hand may have added to it. */
export function isIntact({ roleRef, subjects }: Binding, { role, namespace }: RoleInUse): boolean {
  const [subject, ...others] = subjects
  if (!subject || others.length > 0) return false
  return (
    roleRef.kind === 'ClusterRole' &&
    roleRef.apiGroup === rbac &&
    roleRef.name === role &&
    subject.kind === 'Group' &&
    subject.apiGroup === rbac &&
    subject.name === grantGroup({ role, namespace })
  )
}

/** What bindings are kept in, by the names of the API. */
export const bindingKinds = ['clusterrolebindings', 'rolebindings'] as const

/** Where the bindings of a destination are asked for. */
export function bindingsPath(kind: (typeof bindingKinds)[number], destinationId: string): string {
  const labels = `${managedBy}=infra,${instance}=${destinationId}`
  return `${api}/${kind}?labelSelector=${encodeURIComponent(labels)}`
}

/** The bindings that this connector made. @throws {Failure} `unavailable` when refused. */
export async function listBindings(ask: ClusterApi, destinationId: string): Promise<Binding[]> {
  const lists = await Promise.all(
    bindingKinds.map(async (kind) => {
      const answer = await ask('GET', bindingsPath(kind, destinationId))
      if (answer.status === 200) return BindingList.parse(answer.body).items
      throw refusal(`list ${kind}`, answer)
    }),
  )
  return lists.flat().filter((binding) => isOurs(binding, destinationId))
}

export async function createBinding(
  ask: ClusterApi,
  destinationId: string,
  wanted: RoleInUse,
): Promise<void> {
  const path = collectionOf(wanted.namespace)
  const answer = await ask('POST', path, bindingFor(destinationId, wanted))
  if (answer.status === 201 || answer.status === 200) return
  if (answer.status === 404 && wanted.namespace !== null) {
    const sentence = `there is no namespace ${wanted.namespace}, so role ${wanted.role} is not bound there`
    throw new Failure('unavailable', sentence)
  }
  if (answer.status === 409) {
    const name = bindingName(destinationId, wanted.role)
    const sentence = `${describe(wanted)} is not bound: ${name} is there already, and not ours by its labels`
    throw new Failure('unavailable', sentence)
  }
  throw refusal(`bind ${describe(wanted)}`, answer)
}

/** Deletes exactly the object that was found: one that has changed since is left to the next run. */
export async function deleteBinding(ask: ClusterApi, { metadata }: Binding): Promise<void> {
  const { uid, resourceVersion, name, namespace = null } = metadata
  const answer = await ask('DELETE', `${collectionOf(namespace)}/${encodeURIComponent(name)}`, {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    preconditions: { uid, resourceVersion },
  })
  if ([200, 202, 404].includes(answer.status)) return
  throw refusal(`delete the binding ${name}`, answer)
}

/** Whether the role exists. Where that cannot be found out, it is taken to. */
export async function isRoleThere(ask: ClusterApi, role: string): Promise<boolean> {
  const answer = await ask('GET', `${api}/clusterroles/${encodeURIComponent(role)}`)
  return answer.status !== 404
}

export function describe({ role, namespace }: RoleInUse): string {
  return namespace === null ? `role ${role}` : `role ${role} in namespace ${namespace}`
}

/** The labels are asked for in the query; an answer that ignores it must not cost others theirs. */
function isOurs({ metadata: { labels, name } }: Binding, destinationId: string): boolean {
  return (
    labels[managedBy] === 'infra' &&
    labels[instance] === destinationId &&
    name.startsWith(bindingName(destinationId, ''))
  )
}

function collectionOf(namespace: string | null): string {
  if (namespace === null) return `${api}/clusterrolebindings`
  return `${api}/namespaces/${encodeURIComponent(namespace)}/rolebindings`
}

function refusal(what: string, { status, body }: { status: number; body: unknown }): Failure {
  const said = Refused.safeParse(body)
  const why = said.success ? said.data.message : 'no reason given'
  return new Failure('unavailable', `the cluster refuses to ${what}: ${status}, ${why}`)
}
