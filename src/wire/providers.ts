import { z } from 'zod'
import { fitsHeader, Id, ProviderName } from './names.ts'
import { Changed, Instant } from './shared.ts'

const domain = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be a domain in lower case')

/** What an administrator decides about a provider; each default is the stricter choice. */
const Rules = z.object({
  scopes: z
    .array(z.string().regex(/^[!#-[\]-~]+$/))
    .default(['openid', 'email', 'profile', 'groups', 'offline_access']),
  /** The claim that lists a person's groups. */
  groupsClaim: z.string().max(100).default('groups'),
  /** Whose e-mail may log in, by domain; empty: everyone the provider knows. */
  allowedDomains: z.array(domain).max(100).default([]),
  /** A claim that the ID token must carry with this value (or hold, where it is a list). */
  requiredClaim: z
    .object({ name: z.string().min(1).max(100), value: z.string().max(300) })
    .nullable()
    .default(null),
  /** Domains for which a verified e-mail joins a user who exists already. */
  trustedDomains: z.array(domain).max(100).default([]),
  /** Loud: believe e-mails that the provider does not call verified. */
  vouchesForEmails: z.boolean().default(false),
  /** The provider allows any loopback port (RFC 8252 section 7.3), not only 8000 and 18000. */
  anyLoopbackPort: z.boolean().default(false),
  loopbackHost: z.enum(['127.0.0.1', 'localhost']).default('127.0.0.1'),
  /** How much it is asked about people who are in, by all server processes together. */
  questionsPerMinute: z.number().int().min(10).max(60_000).default(600),
  questionsAtOnce: z.number().int().min(1).max(1000).default(10),
})

export const Provider = Rules.extend({
  id: Id,
  name: z.string(),
  issuer: z.string(),
  clientId: z.string(),
  hasClientSecret: z.boolean(),
  disabled: z.boolean(),
  createdAt: Instant,
})
export type Provider = z.infer<typeof Provider>
export const Providers = z.array(Provider)

const Issuer = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .refine(
    (text) => !/[?#]/.test(text),
    'an issuer has no query and no fragment (OpenID Connect Discovery 1.0)',
  )
const clientId = z.string().max(300).regex(fitsHeader)
const clientSecret = z.string().min(1).max(1000)

export const NewProvider = Rules.extend({
  name: ProviderName,
  issuer: Issuer,
  clientId,
  /** Absent: a public client. */
  clientSecret: clientSecret.optional(),
})
export type NewProvider = z.input<typeof NewProvider>
export const CreatedProvider = Provider.extend(Changed.shape)
export type CreatedProvider = z.infer<typeof CreatedProvider>

export const ProviderRef = z.object({ provider: z.union([ProviderName, Id]) })
export type ProviderRef = z.infer<typeof ProviderRef>

/** Fields that are not given stay as they are; the issuer of a provider never changes. */
export const ProviderEdit = ProviderRef.extend({
  scopes: Rules.shape.scopes.unwrap().optional(),
  groupsClaim: z.string().max(100).optional(),
  allowedDomains: Rules.shape.allowedDomains.unwrap().optional(),
  requiredClaim: Rules.shape.requiredClaim.unwrap().optional(),
  trustedDomains: Rules.shape.trustedDomains.unwrap().optional(),
  vouchesForEmails: z.boolean().optional(),
  anyLoopbackPort: z.boolean().optional(),
  loopbackHost: Rules.shape.loopbackHost.unwrap().optional(),
  questionsPerMinute: Rules.shape.questionsPerMinute.unwrap().optional(),
  questionsAtOnce: Rules.shape.questionsAtOnce.unwrap().optional(),
  clientId: clientId.optional(),
  clientSecret: clientSecret.optional(),
  disabled: z.boolean().optional(),
})
export type ProviderEdit = z.infer<typeof ProviderEdit>
