/**
 * Access: all that one destination may let in, true at one revision.
 *
 * A token says who somebody is; Access says what they may. The server reads it from its tables, the
 * link carries it, the connector decides by it, and the rules for reading it stand here because
 * both must agree on them.
 */
import { z } from 'zod'
import { Id } from './names.ts'

export const Subject = z.object({ kind: z.enum(['user', 'group']), id: Id })
export type Subject = z.infer<typeof Subject>

export function userSubject(id: string): Subject {
  return { kind: 'user', id }
}

export const AccessGrant = z.object({
  id: Id,
  subject: Subject,
  role: z.string(),
  namespace: z.string().nullable(),
  expiresAt: z.iso.datetime().nullable(),
})
export type AccessGrant = z.infer<typeof AccessGrant>

/** The public half of a signing key, as a JWK (RFC 7517). Ours are all ES256. */
export const PublicKey = z.object({
  kid: Id,
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  alg: z.literal('ES256'),
  use: z.literal('sig'),
  x: z.string(),
  y: z.string(),
})
export type PublicKey = z.infer<typeof PublicKey>

/** Who has a grant here, directly or by a group, and is not disabled. */
const AccessUser = z.object({
  id: Id,
  email: z.string(),
  /** Those that have a grant here, and no others. */
  groups: z.array(Id),
  /** Sessions and access keys of theirs that ended while a token may still be good. */
  ended: z.array(Id),
})

const AccessGroup = z.object({ id: Id, name: z.string() })

const Revision = z.number().int().nonnegative()

export const Access = z.object({
  destination: z.object({ id: Id, name: z.string() }),
  /** Changes when the database was restored to the past; revisions compare only within one. */
  epoch: z.string(),
  /** The number of the last event taken account of. */
  revision: Revision,
  /** The `iss` of tokens; a connector may dial the server by another address. */
  issuer: z.string(),
  leaseSeconds: z.number().int().positive(),
  onLeaseEnd: z.enum(['cut', 'keep']),
  users: z.array(AccessUser),
  /** The groups that have a grant here, and no others. */
  groups: z.array(AccessGroup),
  /** Of these users and groups. */
  grants: z.array(AccessGrant),
  signingKeys: z.array(PublicKey),
})
export type Access = z.infer<typeof Access>

/** All of Access but whom it lets in. */
export type AccessHead = Omit<Access, keyof Entries>

/**
 * What changed of Access. Whoever is a subject of it has what stands here, and nothing else any
 * more: a delta says what is so, like Access itself, so that taking it twice does no harm. A group
 * neither comes nor goes by a delta, which would change what stands for each of its members.
 */
export const Delta = z.object({
  epoch: z.string(),
  /** The revision of the Access that it was made for. */
  since: Revision,
  /** The revision of the Access that it makes. */
  revision: Revision,
  subjects: z.array(Subject),
  users: z.array(AccessUser),
  groups: z.array(AccessGroup),
  grants: z.array(AccessGrant),
})
export type Delta = z.infer<typeof Delta>

/** What stands for some, or for all. */
export type Entries = Pick<Access, 'users' | 'groups' | 'grants'>

/** Whether a grant stands at `now`, in milliseconds of server time. */
export function stands(grant: Pick<AccessGrant, 'expiresAt'>, now: number): boolean {
  return grant.expiresAt === null || Date.parse(grant.expiresAt) > now
}

/**
 * The group that a grant impersonates its subject with. The kind is said first, so that no role,
 * namespace or group can be named to look like another kind (security.md P1).
 *
 * @example
 * grantGroup({ role: 'view', namespace: null }) // 'infra:role:view'
 * grantGroup({ role: 'view', namespace: 'web' }) // 'infra:namespace:web:view'
 */
export function grantGroup({ role, namespace }: Pick<AccessGrant, 'role' | 'namespace'>): string {
  return namespace === null ? `infra:role:${role}` : `infra:namespace:${namespace}:${role}`
}

/** The group that a member of one of our groups is impersonated with. */
export function memberGroup(name: string): string {
  return `infra:group:${name}`
}
