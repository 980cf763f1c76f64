/**
 * All that is stored. Deleting a row takes what hangs on it by cascade, so no noun must know the
 * nouns that come after it; whoever deletes reads first which destinations it concerns.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
const id = () => text().primaryKey()
const createdAt = () => instant('created_at').notNull()

/** One row: which database this is (`epoch`), and a value that only the right sealing key opens. */
export const installation = pgTable('installation', {
  id: integer().primaryKey(),
  epoch: text().notNull(),
  sealed: text().notNull(),
})

export const users = pgTable(
  'users',
  {
    id: id(),
    email: text().notNull(),
    isAdmin: boolean('is_admin').notNull().default(false),
    passwordHash: text('password_hash'),
    /** A one-time password: good for one login, which must set another. */
    isPasswordOneTime: boolean('is_password_one_time').notNull().default(false),
    disabledAt: instant('disabled_at'),
    lastLoginAt: instant('last_login_at'),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex('users_email').on(t.email)],
)

export const providers = pgTable(
  'providers',
  {
    id: id(),
    name: text().notNull(),
    issuer: text().notNull(),
    clientId: text('client_id').notNull(),
    /** Sealed; null: a public client. */
    clientSecret: text('client_secret'),
    scopes: jsonb().$type<string[]>().notNull(),
    groupsClaim: text('groups_claim').notNull(),
    allowedDomains: jsonb('allowed_domains').$type<string[]>().notNull(),
    requiredClaim: jsonb('required_claim').$type<{ name: string; value: string }>(),
    trustedDomains: jsonb('trusted_domains').$type<string[]>().notNull(),
    vouchesForEmails: boolean('vouches_for_emails').notNull(),
    anyLoopbackPort: boolean('any_loopback_port').notNull(),
    loopbackHost: text('loopback_host').$type<'127.0.0.1' | 'localhost'>().notNull(),
    questionsPerMinute: integer('questions_per_minute').notNull().default(600),
    questionsAtOnce: integer('questions_at_once').notNull().default(10),
    disabledAt: instant('disabled_at'),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex('providers_name').on(t.name)],
)

export const groups = pgTable(
  'groups',
  {
    id: id(),
    name: text().notNull(),
    /** Set: followed from this provider, `name` is `PROVIDER/NAME`. */
    providerId: text('provider_id').references(() => providers.id, { onDelete: 'cascade' }),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex('groups_name').on(t.name), index('groups_provider').on(t.providerId)],
)

export const memberships = pgTable(
  'memberships',
  {
    groupId: text('group_id')
      .notNull()
      .references(() => groups.id, { onDelete: 'cascade' }),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
  },
  (t) => [primaryKey({ columns: [t.groupId, t.userId] }), index('memberships_user').on(t.userId)],
)

/** Who a provider says somebody is: (issuer, subject), never the e-mail. */
export const identities = pgTable(
  'identities',
  {
    issuer: text().notNull(),
    subject: text().notNull(),
    providerId: text('provider_id')
      .notNull()
      .references(() => providers.id, { onDelete: 'cascade' }),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    email: text().notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.providerId, t.issuer, t.subject] }),
    index('identities_user').on(t.userId),
  ],
)

/** OIDC logins begun and not finished: all that must come back the same, kept by the server. */
export const logins = pgTable(
  'logins',
  {
    id: id(),
    providerId: text('provider_id')
      .notNull()
      .references(() => providers.id, { onDelete: 'cascade' }),
    state: text().notNull(),
    nonce: text().notNull(),
    /** Sealed: the PKCE verifier between this server and the provider. */
    codeVerifier: text('code_verifier').notNull(),
    redirectUri: text('redirect_uri').notNull(),
    /** BASE64URL(SHA-256) of the verifier that only the CLI which began knows. */
    challenge: text().notNull(),
    expiresAt: instant('expires_at').notNull(),
  },
  (t) => [index('logins_expires').on(t.expiresAt)],
)

export const destinations = pgTable(
  'destinations',
  {
    id: id(),
    name: text().notNull(),
    /** Null: the default lease of the settings. */
    leaseSeconds: integer('lease_seconds'),
    onLeaseEnd: text('on_lease_end').$type<'cut' | 'keep'>().notNull().default('cut'),
    endpoint: text(),
    pendingEndpoint: text('pending_endpoint'),
    lastSeenAt: instant('last_seen_at'),
    /** Set while something is wrong in the cluster, so that this is said once. */
    troubledAt: instant('troubled_at'),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex('destinations_name').on(t.name)],
)

/**
 * Connector instances, as they were last heard of: marks and no events, so that whoever may still
 * hold a lease is known over a restart of the server.
 */
export const connectors = pgTable(
  'connectors',
  {
    destinationId: text('destination_id')
      .notNull()
      .references(() => destinations.id, { onDelete: 'cascade' }),
    instance: text().notNull(),
    via: text().$type<'link' | 'poll'>().notNull(),
    heardAt: instant('heard_at').notNull(),
    leaseSeconds: integer('lease_seconds').notNull(),
    /** By then its lease has surely ended: what was heard since without a mark is counted in. */
    leaseEndsAt: instant('lease_ends_at').notNull(),
    /** Set while it is missed, so that this is said once. */
    silentAt: instant('silent_at'),
  },
  (t) => [primaryKey({ columns: [t.destinationId, t.instance] })],
)

/** The only source of access to clusters. Never edited: revoked, and created anew. */
export const grants = pgTable(
  'grants',
  {
    id: id(),
    userId: text('user_id').references(() => users.id, { onDelete: 'cascade' }),
    groupId: text('group_id').references(() => groups.id, { onDelete: 'cascade' }),
    destinationId: text('destination_id')
      .notNull()
      .references(() => destinations.id, { onDelete: 'cascade' }),
    namespace: text(),
    role: text().notNull(),
    expiresAt: instant('expires_at'),
    createdAt: createdAt(),
  },
  (t) => [
    check('grants_one_subject', sql`num_nonnulls(${t.userId}, ${t.groupId}) = 1`),
    index('grants_user').on(t.userId),
    index('grants_group').on(t.groupId),
    index('grants_destination').on(t.destinationId),
    index('grants_expires').on(t.expiresAt),
  ],
)

export const accessKeys = pgTable(
  'access_keys',
  {
    id: id(),
    name: text().notNull(),
    /** SHA-256 of the secret, base64url: the secret has 256 random bits, so it needs no salt. */
    secretHash: text('secret_hash').notNull(),
    userId: text('user_id').references(() => users.id, { onDelete: 'cascade' }),
    destinationId: text('destination_id').references(() => destinations.id, {
      onDelete: 'cascade',
    }),
    expiresAt: instant('expires_at'),
    lastUsedAt: instant('last_used_at'),
    /** Revoked or run out. Kept like an ended session, because tokens were signed for it. */
    endedAt: instant('ended_at'),
    createdAt: createdAt(),
  },
  (t) => [
    check('access_keys_one_owner', sql`num_nonnulls(${t.userId}, ${t.destinationId}) = 1`),
    uniqueIndex('access_keys_name')
      .on(t.name)
      .where(sql`ended_at is null`),
    index('access_keys_user').on(t.userId),
    index('access_keys_destination').on(t.destinationId),
  ],
)

/** Ended sessions stay until no token of theirs can be good anywhere (security.md P2). */
export const sessions = pgTable(
  'sessions',
  {
    id: id(),
    secretHash: text('secret_hash').notNull(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    providerId: text('provider_id').references(() => providers.id, { onDelete: 'cascade' }),
    createdAt: createdAt(),
    lastUsedAt: instant('last_used_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    endedAt: instant('ended_at'),
  },
  (t) => [index('sessions_user').on(t.userId), index('sessions_ended').on(t.endedAt)],
)

/** What the provider gave with a session's login, sealed: to ask it again whether that stands. */
export const providerTokens = pgTable('provider_tokens', {
  sessionId: text('session_id')
    .primaryKey()
    .references(() => sessions.id, { onDelete: 'cascade' }),
  /** Sealed; null: the provider gave none. */
  refreshToken: text('refresh_token'),
  /** Sealed. */
  accessToken: text('access_token').notNull(),
  accessUntil: instant('access_until').notNull(),
  /** What the provider last said in whole; no secret, and told to nobody either. */
  claims: jsonb().$type<Record<string, unknown>>().notNull(),
  askedAt: instant('asked_at').notNull(),
  /** The refresh token was sent and nothing is known of an answer: it may be spent already. */
  doubtSince: instant('doubt_since'),
})

/** When each person (a user by a provider) is asked about next, and which server asks just now. */
export const questions = pgTable(
  'questions',
  {
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    providerId: text('provider_id')
      .notNull()
      .references(() => providers.id, { onDelete: 'cascade' }),
    dueAt: instant('due_at').notNull(),
    claimedBy: text('claimed_by'),
    claimedUntil: instant('claimed_until'),
    /** When the provider last said that the person stands. */
    answeredAt: instant('answered_at').notNull(),
    /** Since when there is no answer: the grace period counts from here. */
    failingSince: instant('failing_since'),
  },
  (t) => [
    primaryKey({ columns: [t.userId, t.providerId] }),
    index('questions_due').on(t.providerId, t.dueAt),
  ],
)

/** How fast a provider is asked, over all server processes. */
export const providerPaces = pgTable('provider_paces', {
  providerId: text('provider_id')
    .primaryKey()
    .references(() => providers.id, { onDelete: 'cascade' }),
  nextRequestAt: instant('next_request_at').notNull(),
  /** It said Retry-After: nothing is asked before. */
  quietUntil: instant('quiet_until'),
  /** Since when it refuses us, not a person: a rotated client secret, say. */
  refusesUsSince: instant('refuses_us_since'),
})

/** ES256 key pairs. Published at `createdAt`, signing from `signsFrom`, gone after `retiresAt`. */
export const signingKeys = pgTable('signing_keys', {
  id: id(),
  publicKey: jsonb('public_key').$type<Record<string, string>>().notNull(),
  /** Sealed PKCS#8. */
  privateKey: text('private_key').notNull(),
  createdAt: createdAt(),
  signsFrom: instant('signs_from').notNull(),
  retiresAt: instant('retires_at'),
})

/** Wrong passwords, counted per account and per address; kept over restarts. */
export const guesses = pgTable('guesses', {
  /** `account:…` or `address:…`, hashed, so that the table lists nobody. */
  key: text().primaryKey(),
  count: integer().notNull(),
  since: instant('since').notNull(),
})

/** Append-only: what happened, in the order of commits, without gaps. */
export const events = pgTable('events', {
  number: bigint({ mode: 'number' }).primaryKey(),
  kind: text().notNull(),
  at: instant('at').notNull(),
  actor: jsonb()
    .$type<{ kind: 'user' | 'connector' | 'system'; id: string | null; name: string }>()
    .notNull(),
  detail: jsonb().$type<Record<string, unknown>>().notNull(),
  /** Ids of the destinations whose Access may have changed; null: all of them. */
  destinations: text().array(),
  /** For whom it may have changed there; null: for anybody. */
  subjects: jsonb().$type<{ kind: 'user' | 'group'; id: string }[]>(),
})
