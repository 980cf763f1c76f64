/**
 * Which user an identity is. The answer must not depend on what somebody could write into their own
 * profile at a provider: issuer and subject decide, an e-mail only where two parties vouch for it.
 */
import { and, eq } from 'drizzle-orm'
import { newId } from '../credential.ts'
import type { Database } from '../db/database.ts'
import { identities, users } from '../db/schema.ts'
import type { Happening } from '../events.ts'
import type { ProviderRow } from '../providers.ts'
import type { UserRow } from '../users.ts'
import { Failure } from '../wire/failure.ts'
import { domainOf, type Identity } from './identity.ts'

type Joining = { identity: Identity; provider: ProviderRow; now: Date }
type Joined = { user: UserRow; happened: Happening | null }

/**
 * The user of an identity, locked until the transaction ends: known by issuer and subject, else
 * joined by e-mail where the provider is trusted for its domain, else made anew. What happened is
 * handed back, to be recorded when all is written.
 *
 * A user keeps the name they have, also when the e-mail changes at the provider: grants, audit and
 * clusters know them by it. Of two first logins at once the second finds the user of the first.
 *
 * @throws {Failure} `unauthenticated`
 */
export async function userFor(tx: Database, joining: Joining): Promise<Joined> {
  const known = await userOfIdentity(tx, joining)
  if (known) return { user: standing(known), happened: null }
  const namesake = await userOfEmail(tx, joining.identity.email)
  if (namesake) return join(tx, joining, namesake)
  const made = await make(tx, joining)
  // Somebody else has just made a user of this e-mail, perhaps for this very identity.
  return made ?? userFor(tx, joining)
}

async function userOfIdentity(
  tx: Database,
  { identity, provider }: Joining,
): Promise<UserRow | null> {
  const isThis = and(
    eq(identities.providerId, provider.id),
    eq(identities.issuer, identity.issuer),
    eq(identities.subject, identity.subject),
  )
  const [found] = await tx
    .select({ user: users })
    .from(identities)
    .innerJoin(users, eq(users.id, identities.userId))
    .where(isThis)
    .for('update', { of: users })
  if (!found) return null
  await tx.update(identities).set({ email: identity.email }).where(isThis)
  return found.user
}

async function userOfEmail(tx: Database, email: string): Promise<UserRow | null> {
  const [found] = await tx.select().from(users).where(eq(users.email, email)).for('update')
  return found ?? null
}

async function join(tx: Database, joining: Joining, user: UserRow): Promise<Joined> {
  const { identity, provider } = joining
  const others = await tx
    .select({ subject: identities.subject })
    .from(identities)
    .where(and(eq(identities.userId, user.id), eq(identities.providerId, provider.id)))
  // The lock on the user was waited for: the other login may have been of this same identity.
  if (others.some(({ subject }) => subject === identity.subject)) return userFor(tx, joining)
  const why = whyNotJoin(identity, provider, others.length > 0)
  if (why !== null) throw refusal(why)
  standing(user)
  await remember(tx, joining, user.id)
  return { user, happened: happening('identity.linked', user, joining) }
}

/**
 * Why an identity may not become a user who exists already, or null. The provider must say that
 * the e-mail is verified, and an administrator must trust it for the domain; a setting that
 * vouches for unverified e-mails lets people in, but never as somebody who was here before.
 */
export function whyNotJoin(
  { email, isEmailVerified }: Pick<Identity, 'email' | 'isEmailVerified'>,
  { name, trustedDomains }: Pick<ProviderRow, 'name' | 'trustedDomains'>,
  isKnownAsAnother: boolean,
): string | null {
  // An e-mail that was given to somebody else at the provider must not hand over access with it.
  if (isKnownAsAnother) {
    return `${email} is another person's name here: an administrator must remove that user first`
  }
  if (isEmailVerified && trustedDomains.includes(domainOf(email))) return null
  return `there is already a user ${email}: an administrator must trust provider ${name} for ${domainOf(email)}, or remove that user`
}

async function make(tx: Database, joining: Joining): Promise<Joined | null> {
  const { identity, now } = joining
  const [user] = await tx
    .insert(users)
    .values({ id: newId(), email: identity.email, createdAt: now })
    .onConflictDoNothing({ target: users.email })
    .returning()
  if (!user) return null
  await remember(tx, joining, user.id)
  return { user, happened: happening('user.created', user, joining) }
}

async function remember(
  tx: Database,
  { identity, provider, now }: Joining,
  userId: string,
): Promise<void> {
  const { issuer, subject, email } = identity
  await tx
    .insert(identities)
    .values({ issuer, subject, email, providerId: provider.id, userId, createdAt: now })
}

function happening(kind: string, user: UserRow, { identity, provider }: Joining): Happening {
  const { issuer, subject } = identity
  const detail = {
    user: { id: user.id, email: user.email },
    provider: provider.name,
    identity: { issuer, subject },
  }
  // Neither a new user nor one more way to log in changes what anybody may do anywhere.
  return { kind, detail, destinations: [] }
}

function standing(user: UserRow): UserRow {
  if (user.disabledAt === null) return user
  throw new Failure('unauthenticated', 'the login was refused: ask an administrator', {
    cause: new Error(`the user ${user.id} is disabled`),
  })
}

function refusal(sentence: string): Failure {
  return new Failure('unauthenticated', sentence)
}
