/** What a credential looks like, for whatever takes one in: from the environment, or from a server. */
import { z } from 'zod'

/**
 * `id.secret`. It becomes a header: a line end in it (a file read whole, say) would be refused there
 * with an error that quotes it, secret and all.
 */
export const Credential = z
  .string()
  .max(1024)
  .regex(/^[\w-]{1,64}\.[\w-]+$/, 'must be id.secret')
