import { z } from 'zod'
import { Email, Id } from './names.ts'
import { Changed, Instant } from './shared.ts'

export const User = z.object({
  id: Id,
  email: z.string(),
  admin: z.boolean(),
  disabled: z.boolean(),
  /** Names of the groups the user belongs to. */
  groups: z.array(z.string()),
  createdAt: Instant,
  lastLoginAt: Instant.nullable(),
})
export type User = z.infer<typeof User>
export const Users = z.array(User)

export const NewUser = z.object({ email: Email, admin: z.boolean().default(false) })
export type NewUser = z.input<typeof NewUser>

/** A user just made, with the one-time password that is shown once and never again. */
export const CreatedUser = User.extend({ password: z.string(), ...Changed.shape })
export type CreatedUser = z.infer<typeof CreatedUser>

/** `id` of a user may also be given as the e-mail. */
export const UserRef = z.object({ user: z.string().min(1).max(254) })
export type UserRef = z.infer<typeof UserRef>

export const UserEdit = UserRef.extend({
  admin: z.boolean().optional(),
  disabled: z.boolean().optional(),
  /** Makes a new one-time password; ends no session. */
  resetPassword: z.boolean().optional(),
})
export type UserEdit = z.infer<typeof UserEdit>
export const EditedUser = User.extend({ password: z.string().nullable(), ...Changed.shape })
export type EditedUser = z.infer<typeof EditedUser>

export const NewPassword = z.object({
  oldPassword: z.string().max(1024),
  newPassword: z.string().min(8, 'must have at least 8 characters').max(1024),
})
export type NewPassword = z.infer<typeof NewPassword>
