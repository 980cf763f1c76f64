import { z } from 'zod'
import { DestinationName, Id, Namespace, RoleName } from './names.ts'
import { Changed, Instant } from './shared.ts'
import { Subject } from './access.ts'

export const Grant = z.object({
  id: Id,
  subject: Subject.extend({ name: z.string() }),
  destination: z.object({ id: Id, name: z.string() }),
  namespace: z.string().nullable(),
  role: z.string(),
  expiresAt: Instant.nullable(),
  createdAt: Instant,
})
export type Grant = z.infer<typeof Grant>
export const Grants = z.array(Grant)

/** Whom, where and as what: exactly one of `user` and `group`, each by name or id. */
const Words = z.object({
  user: z.string().max(254).optional(),
  group: z.string().max(254).optional(),
  destination: z.union([DestinationName, Id]),
  namespace: Namespace.nullable().default(null),
  role: RoleName,
})
const oneSubject = (words: { user?: string | undefined; group?: string | undefined }) =>
  (words.user === undefined) !== (words.group === undefined)
const sayOne = 'exactly one of user and group must be given'

export const NewGrant = Words.extend({ expiresAt: Instant.nullable().default(null) }).refine(
  oneSubject,
  sayOne,
)
export type NewGrant = z.input<typeof NewGrant>
export const CreatedGrant = Grant.extend(Changed.shape)
export type CreatedGrant = z.infer<typeof CreatedGrant>

/** Revokes every grant that says the same: whoever takes access away wants it gone. */
export const GrantWords = Words.refine(oneSubject, sayOne)
export type GrantWords = z.input<typeof GrantWords>
export const RevokedGrants = Changed.extend({ revoked: z.array(Id) })
export type RevokedGrants = z.infer<typeof RevokedGrants>
