import { z } from 'zod'
import { DestinationName, Id } from './names.ts'
import { Instant } from './shared.ts'

/** `typ` of our tokens (RFC 8725 section 3.11): no other JWT of ours or others can pass for one. */
export const tokenType = 'infra+jwt'

export const NewToken = z.object({ destination: z.union([DestinationName, Id]) })
export type NewToken = z.infer<typeof NewToken>

export const Token = z.object({
  token: z.string(),
  expiresAt: Instant,
  destination: z.object({ id: Id, name: z.string() }),
})
export type Token = z.infer<typeof Token>
