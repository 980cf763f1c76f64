/**
 * Short-lived tokens, each for one destination. A token says who somebody is; what they may do
 * there, the connector's Access says. Issuing one is no event: it changes nothing.
 */
import { and, eq, inArray, isNull, or, sql } from 'drizzle-orm'
import { type Call, type UserActor, userOf } from './call.ts'
import { builtOnce } from './db/built.ts'
import type { Database } from './db/database.ts'
import { destinations, grants, memberships, users } from './db/schema.ts'
import type { DestinationRow } from './destinations.ts'
import type { Settings } from './settings.ts'
import { signToken } from './signing.ts'
import { Failure } from './wire/failure.ts'
import { isReserved } from './wire/names.ts'
import type { NewToken, Token } from './wire/tokens.ts'

/**
 * Signs a token for whoever has a grant that stands at the destination, directly or by a group.
 *
 * @throws {Failure} `not_found` without one, and in the same words where there is no such
 * destination: who has no access learns no names. `forbidden` for a reserved name.
 */
export async function createToken(call: Call, { destination: ref }: NewToken): Promise<Token> {
  const { db, now, settings, sealer } = call
  const user = userOf(call)
  const destination = await grantedDestination(db, user.id, ref, now)
  // Refused where users are made, too; but this is the line that an impostor needs (security.md D6).
  if (isReserved(user.email)) throw new Failure('forbidden', 'the name of this user is reserved')
  const expiresAt = tokenEnd(now, settings, destination, user.credential)
  const { id, name } = destination
  const claims = { destinationId: id, userId: user.id, credentialId: user.credential.id, expiresAt }
  const token = await signToken({ db, sealer, now, settings }, claims)
  return { token, expiresAt: expiresAt.toISOString(), destination: { id, name } }
}

/**
 * When a token ends: after its life, at most one lease of its destination, and never after the
 * session or key that it was signed for. Whole seconds, as `exp` has them, and never later.
 */
export function tokenEnd(
  now: Date,
  settings: Pick<Settings, 'tokenSeconds' | 'leaseSeconds'>,
  destination: Pick<DestinationRow, 'leaseSeconds'>,
  credential: Pick<UserActor['credential'], 'expiresAt'>,
): Date {
  const lease = destination.leaseSeconds ?? settings.leaseSeconds
  const life = now.getTime() + Math.min(settings.tokenSeconds, lease) * 1000
  const end = Math.min(life, credential.expiresAt?.getTime() ?? Infinity)
  return new Date(Math.floor(end / 1000) * 1000)
}

/** Nothing for a user who was disabled after this request was admitted. */
const granted = builtOnce((db) => {
  const [user, ref] = [sql.placeholder('user'), sql.placeholder('ref')]
  const groupsOfUser = db
    .select({ id: memberships.groupId })
    .from(memberships)
    .where(eq(memberships.userId, user))
  return db
    .select({ destination: destinations, expiresAt: grants.expiresAt })
    .from(destinations)
    .innerJoin(grants, eq(grants.destinationId, destinations.id))
    .innerJoin(users, and(eq(users.id, user), isNull(users.disabledAt)))
    .where(
      and(
        or(eq(destinations.id, ref), eq(destinations.name, ref)),
        or(eq(grants.userId, user), inArray(grants.groupId, groupsOfUser)),
      ),
    )
    .prepare('granted destination')
})

async function grantedDestination(
  db: Database,
  userId: string,
  ref: string,
  now: Date,
): Promise<DestinationRow> {
  const rows = await granted(db).execute({ user: userId, ref })
  const standing = rows.find(({ expiresAt }) => expiresAt === null || expiresAt > now)
  if (standing) return standing.destination
  const sentence = `you have no access to a destination ${JSON.stringify(ref)}`
  throw new Failure('not_found', sentence)
}
