import { z } from 'zod'
import { Id, LocalGroupName } from './names.ts'
import { Changed, Instant } from './shared.ts'
import { UserRef } from './users.ts'

export const Group = z.object({
  id: Id,
  /** `PROVIDER/NAME` where the group is followed from a provider. */
  name: z.string(),
  /** The provider's name it is followed from; null: made here. */
  provider: z.string().nullable(),
  members: z.array(z.string()),
  createdAt: Instant,
})
export type Group = z.infer<typeof Group>
export const Groups = z.array(Group)

export const NewGroup = z.object({ name: LocalGroupName })
export type NewGroup = z.infer<typeof NewGroup>
export const CreatedGroup = Group.extend(Changed.shape)
export type CreatedGroup = z.infer<typeof CreatedGroup>

/** By name or by id. A name that holds `/` is percent-encoded in the path. */
export const GroupRef = z.object({ group: z.string().min(1).max(254) })
export type GroupRef = z.infer<typeof GroupRef>
export const Membership = GroupRef.extend(UserRef.shape)
export type Membership = z.infer<typeof Membership>
