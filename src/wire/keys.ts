import { z } from 'zod'
import { DestinationName, Id, KeyName } from './names.ts'
import { Changed, Instant } from './shared.ts'

export const AccessKey = z.object({
  id: Id,
  name: z.string(),
  /** Whose key it is: a user's e-mail, or null for a connector's. */
  user: z.string().nullable(),
  /** The destination a connector's key is bound to, by name. */
  destination: z.string().nullable(),
  expiresAt: Instant.nullable(),
  lastUsedAt: Instant.nullable(),
  createdAt: Instant,
})
export type AccessKey = z.infer<typeof AccessKey>
export const AccessKeys = z.array(AccessKey)

/** For `user` (default: whoever asks), or for the connector of `destination`; never both. */
export const NewAccessKey = z
  .object({
    name: KeyName,
    user: z.string().max(254).optional(),
    destination: z.union([DestinationName, Id]).optional(),
    expiresAt: Instant.nullable().default(null),
  })
  .refine(({ user, destination }) => user === undefined || destination === undefined, {
    message: 'a key is for a user or for a connector, not for both',
  })
export type NewAccessKey = z.input<typeof NewAccessKey>
/** `accessKey` is `id.secret`, shown once. */
export const CreatedAccessKey = AccessKey.extend({ accessKey: z.string(), ...Changed.shape })
export type CreatedAccessKey = z.infer<typeof CreatedAccessKey>

/** By name or by id. */
export const KeyRef = z.object({ key: z.string().min(1).max(100) })
export type KeyRef = z.infer<typeof KeyRef>
