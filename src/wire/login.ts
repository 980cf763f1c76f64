/** Logging in: what the server offers, and the three steps of each way. */
import { z } from 'zod'
import { Id, ProviderName } from './names.ts'
import { Instant } from './shared.ts'

/** What a server offers a stranger who wants to log in. */
export const LoginOffer = z.object({
  password: z.boolean(),
  providers: z.array(
    z.object({
      name: z.string(),
      issuer: z.string(),
      loopbackHost: z.enum(['127.0.0.1', 'localhost']),
      anyLoopbackPort: z.boolean(),
    }),
  ),
})
export type LoginOffer = z.infer<typeof LoginOffer>

/** A session just started: `credential` is `id.secret`, kept by the CLI and never shown again. */
export const StartedSession = z.object({
  session: Id,
  credential: z.string(),
  user: z.object({ id: Id, email: z.string(), admin: z.boolean() }),
  expiresAt: Instant,
  /** What the person should know: groups of the provider that were left out, say. */
  warnings: z.array(z.string()),
})
export type StartedSession = z.infer<typeof StartedSession>

/**
 * `newPassword` is needed where the password is a one-time one; without it such a login is refused
 * with code `conflict`, and nothing else about the account is told.
 */
export const PasswordLogin = z.object({
  email: z.string().max(254),
  password: z.string().max(1024),
  newPassword: z.string().min(8, 'must have at least 8 characters').max(1024).optional(),
})
export type PasswordLogin = z.infer<typeof PasswordLogin>

/**
 * Begins an OIDC login by the loopback relay (RFC 8252). `challenge` is BASE64URL(SHA-256(verifier))
 * of a verifier that only this CLI knows: it binds the login's two steps to one CLI (security.md L4).
 * It is not the PKCE pair between server and provider, which never leaves the server.
 */
export const BeginLogin = z.object({
  provider: ProviderName,
  redirectUri: z.string().max(200),
  challenge: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
})
export type BeginLogin = z.infer<typeof BeginLogin>
export const BegunLogin = z.object({
  login: Id,
  /** Where the browser is sent. */
  authorizationUrl: z.string(),
  /** The CLI refuses a callback whose `state` is another. */
  state: z.string(),
  expiresAt: Instant,
})
export type BegunLogin = z.infer<typeof BegunLogin>

/** The query that the provider sent to the loopback address, as it came, with the CLI's verifier. */
export const FinishLogin = z.object({
  login: Id,
  verifier: z.string().regex(/^[A-Za-z0-9_-]{43,128}$/),
  /** The raw query string of the callback, without `?`. */
  callback: z.string().max(8192),
})
export type FinishLogin = z.infer<typeof FinishLogin>

/** Who is asking, as the server sees it. */
export const Me = z.object({
  user: z.object({ id: Id, email: z.string(), admin: z.boolean(), groups: z.array(z.string()) }),
  /** Null when an access key was used. */
  session: z
    .object({ id: Id, provider: z.string().nullable(), expiresAt: Instant, createdAt: Instant })
    .nullable(),
})
export type Me = z.infer<typeof Me>
