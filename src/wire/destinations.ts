import { z } from 'zod'
import { DestinationName, Id } from './names.ts'
import { Changed, inQuery, Instant } from './shared.ts'

/** `host:port` as kubectl reaches a connector; IPv6 in brackets. */
export const Endpoint = z
  .string()
  .max(300)
  .regex(
    /^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?):[1-9][0-9]{0,4}$/,
    'must be host:port',
  )

export const LinkState = z.enum(['linked', 'polling', 'silent'])
export type LinkState = z.infer<typeof LinkState>

export const Destination = z.object({
  id: Id,
  name: z.string(),
  /** Where kubectl reaches the connector; null until one has reported. */
  endpoint: z.string().nullable(),
  /** What a connector last reported, where it waits for an administrator's consent. */
  pendingEndpoint: z.string().nullable(),
  leaseSeconds: z.number().int(),
  onLeaseEnd: z.enum(['cut', 'keep']),
  /** How many connector instances hold a link to this server now. */
  linked: z.number().int(),
  /** How its connectors are heard of: by a link, by the poll alone (only later), or not at all. */
  link: LinkState,
  /** What its connectors find wrong in the cluster, a sentence each: roles that are missing, … */
  problems: z.array(z.string()).default([]),
  lastSeenAt: Instant.nullable(),
  createdAt: Instant,
})
export type Destination = z.infer<typeof Destination>

/** A connector instance, as the server knows it that is asked. */
export const ConnectorInstance = z.object({
  instance: z.string(),
  link: LinkState,
  /** Since when it has not been heard of; null: it is. */
  silentSince: Instant.nullable(),
  /** When it stops admitting anybody, unless it is heard of before; and how long that is yet. */
  leaseEndsAt: Instant.nullable(),
  leaseLeftSeconds: z.number().nullable(),
  /** The newest revision that it has enforced; null: not known here (another server may). */
  revision: z.number().int().nullable(),
  /** What it has not acknowledged: so many revisions, the first of them since `since`. */
  behind: z.object({ revisions: z.number().int(), since: Instant }).nullable(),
  /** The last loss of access that it acknowledged; `ms` from the change to its enforcement. */
  lastRevocation: z
    .object({
      revision: z.number().int(),
      kind: z.string(),
      at: Instant,
      ms: z.number(),
      /** Streams cut for it, and for what was enforced in the same step. */
      severed: z.number().int(),
    })
    .nullable(),
})
export type ConnectorInstance = z.infer<typeof ConnectorInstance>
export const ShownDestination = Destination.extend({
  connectors: z.array(ConnectorInstance).default([]),
})
export type ShownDestination = z.infer<typeof ShownDestination>

export const Destinations = z.array(Destination)

export const NewDestination = z.object({ name: DestinationName })
export type NewDestination = z.infer<typeof NewDestination>
/** `accessKey` is the connector's, shown once. */
export const CreatedDestination = Destination.extend({ accessKey: z.string(), ...Changed.shape })
export type CreatedDestination = z.infer<typeof CreatedDestination>

export const DestinationRef = z.object({ destination: z.union([DestinationName, Id]) })
export type DestinationRef = z.infer<typeof DestinationRef>

export const minLeaseSeconds = 15
export const maxLeaseSeconds = 86_400
export const DestinationEdit = DestinationRef.extend({
  leaseSeconds: z.number().int().min(minLeaseSeconds).max(maxLeaseSeconds).optional(),
  onLeaseEnd: z.enum(['cut', 'keep']).optional(),
  endpoint: Endpoint.optional(),
})
export type DestinationEdit = z.infer<typeof DestinationEdit>
export const EditedDestination = Destination.extend(Changed.shape)
export type EditedDestination = z.infer<typeof EditedDestination>

/** One destination as its user sees it: all that a kubeconfig entry is made of. */
export const MyDestination = z.object({
  id: Id,
  name: z.string(),
  endpoint: z.string().nullable(),
  tlsServerName: z.string(),
  /** PEM of the CA that the connector's serving certificate comes from. */
  ca: z.string(),
  /** The roles held, `namespace` null for the whole cluster. */
  roles: z.array(
    z.object({ role: z.string(), namespace: z.string().nullable(), expiresAt: Instant.nullable() }),
  ),
})
export type MyDestination = z.infer<typeof MyDestination>
export const MyDestinations = z.array(MyDestination)

/** PKCS#10, PEM. The names in it are not believed: the certificate is for this destination only. */
export const CertificateRequest = z.object({ csr: z.string().max(10_000) })
export type CertificateRequest = z.infer<typeof CertificateRequest>
/** The chain in PEM, leaf first, and when it ends. */
export const Certificate = z.object({ certificate: z.string(), expiresAt: Instant })
export type Certificate = z.infer<typeof Certificate>

/** Asks whether a change has been enforced, waiting for it at most `waitSeconds`. */
export const ReceiptQuery = DestinationRef.extend({
  revision: inQuery(0),
  waitSeconds: inQuery(0, 60).default(0),
})
export type ReceiptQuery = z.input<typeof ReceiptQuery>
/** Where a revision has been enforced: each connector instance concerned, by name. */
export const Receipt = z.object({
  destination: z.object({ id: Id, name: z.string() }),
  revision: z.number().int(),
  /** Whether every connector that is heard of has enforced it, and there is one. */
  enforced: z.boolean(),
  /** Whether a connector whose lease ends without a word cuts what is open there. */
  onLeaseEnd: z.enum(['cut', 'keep']),
  connectors: z.array(
    z.object({
      instance: z.string(),
      linked: z.boolean(),
      link: LinkState,
      enforcedAt: Instant.nullable(),
      /** Streams cut to enforce it. */
      severed: z.number().int(),
      /** When an instance that does not answer stops admitting anybody. */
      leaseEndsAt: Instant.nullable(),
    }),
  ),
})
export type Receipt = z.infer<typeof Receipt>
