import { z } from 'zod'
import { Id } from './names.ts'
import { Instant } from './shared.ts'

/** A session as its user and administrators see it; the credential is never shown again. */
export const Session = z.object({
  id: Id,
  user: z.string(),
  provider: z.string().nullable(),
  createdAt: Instant,
  lastUsedAt: Instant,
  expiresAt: Instant,
})
export type Session = z.infer<typeof Session>
export const Sessions = z.array(Session)
