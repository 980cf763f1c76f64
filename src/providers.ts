/** Providers: the OIDC issuers that users log in with, and what each is believed. */
import { and, asc, desc, eq, isNull, or, sql } from 'drizzle-orm'
import type { z } from 'zod'
import type { Call } from './call.ts'
import { broughtBy, destinationsOf, grantedTo } from './concerns.ts'
import { newId } from './credential.ts'
import type { Database } from './db/database.ts'
import { providers, sessions } from './db/schema.ts'
import { newest, record } from './events.ts'
import type { Sealer } from './seal.ts'
import { Failure } from './wire/failure.ts'
import { whyTooOpen } from './wire/issuers.ts'
import type {
  CreatedProvider,
  NewProvider,
  Provider,
  ProviderEdit,
  ProviderRef,
} from './wire/providers.ts'
import type { Changed } from './wire/shared.ts'

export type ProviderRow = typeof providers.$inferSelect

export async function listProviders({ db }: Call): Promise<Provider[]> {
  const rows = await db.select().from(providers).orderBy(asc(providers.name))
  return rows.map(toWire)
}

/**
 * @throws {Failure} `invalid` for an issuer at which anybody can have an account and no rule about
 * who may log in, or one that is not https; `conflict` when the name is taken.
 */
export async function createProvider(
  { db, actor, now, sealer, settings }: Call,
  { clientSecret, ...given }: z.output<typeof NewProvider>,
): Promise<CreatedProvider> {
  judgeIssuer(given.issuer, settings.insecureProviders)
  judgeRules(given)
  const id = newId()
  return db.transaction(async (tx) => {
    const [row] = await tx
      .insert(providers)
      .values({
        ...given,
        id,
        clientSecret: clientSecret === undefined ? null : sealSecret(sealer, id, clientSecret),
        createdAt: now,
      })
      .onConflictDoNothing({ target: providers.name })
      .returning()
    if (!row) throw new Failure('conflict', `there is already a provider ${given.name}`)
    const detail = { provider: named(row), issuer: row.issuer }
    const kind = 'provider.created'
    return {
      ...toWire(row),
      revision: await record(tx, actor, now, { kind, detail, destinations: [] }),
    }
  })
}

/**
 * Changes what is given. Disabling ends every session that came in by the provider, at once, and
 * enabling revives none. Narrower rules hold from the next login on: whoever is in stays in.
 *
 * @throws {Failure} `not_found`; `invalid` where nobody would say who may log in.
 */
export async function updateProvider(call: Call, edit: ProviderEdit): Promise<CreatedProvider> {
  return call.db.transaction(async (tx) => {
    const row = await findProvider(tx, edit.provider)
    const change = changeOf(row, edit, call)
    const after = { ...row, ...change }
    judgeRules(after)
    const names = Object.keys(change)
    if (names.length === 0) return { ...toWire(row), revision: await newest(tx) }
    await tx.update(providers).set(change).where(eq(providers.id, row.id))
    const isDisabling = change.disabledAt instanceof Date
    const destinations = isDisabling ? await endAllOf(tx, row.id, call.now) : []
    const detail = { provider: named(row), changed: names.filter((name) => name !== 'disabledAt') }
    const kind = kindOf(change)
    const revision = await record(tx, call.actor, call.now, { kind, detail, destinations })
    return { ...toWire(after), revision, destinations }
  })
}

/**
 * Takes with it the identities and the groups that were followed from it, grants for these groups
 * included. Users stay, and are known again only to a provider that is trusted for their domain.
 *
 * @throws {Failure} `not_found`
 */
export async function deleteProvider(
  { db, actor, now }: Call,
  { provider: ref }: ProviderRef,
): Promise<Changed> {
  return db.transaction(async (tx) => {
    const row = await findProvider(tx, ref)
    const { userIds, groupIds } = await broughtBy(tx, row.id)
    const own = await grantedTo(tx, { groupIds })
    await endSessionsOf(tx, row.id, now)
    // Cut loose before the cascade: connectors are told of an ended session only while its row is
    // there, and a token of it may still be good (security.md P2).
    await tx.update(sessions).set({ providerId: null }).where(eq(sessions.providerId, row.id))
    await tx.delete(providers).where(eq(providers.id, row.id))
    const destinations = [...new Set([...own, ...(await destinationsOf(tx, { userIds }))])]
    const detail = { provider: named(row) }
    const kind = 'provider.deleted'
    return { revision: await record(tx, actor, now, { kind, detail, destinations }), destinations }
  })
}

/** A provider by name or by id, locked: a login that it lets in meanwhile comes before or after. */
export async function findProvider(tx: Database, ref: string): Promise<ProviderRow> {
  const [row] = await tx
    .select()
    .from(providers)
    .where(or(eq(providers.name, ref), eq(providers.id, ref)))
    // A name may look like another's id: an id is unique for ever, so it goes first.
    .orderBy(desc(sql`${providers.id} = ${ref}`))
    .limit(1)
    .for('update')
  if (!row) throw new Failure('not_found', `there is no provider ${ref}`)
  return row
}

/** The client secret in the clear, for the one request that needs it; null for a public client. */
export function openClientSecret(
  sealer: Sealer,
  { id, clientSecret }: Pick<ProviderRow, 'id' | 'clientSecret'>,
): string | null {
  return clientSecret === null ? null : sealer.open(clientSecret, purposeOf(id))
}

function sealSecret(sealer: Sealer, id: string, secret: string): string {
  return sealer.seal(secret, purposeOf(id))
}

const purposeOf = (id: string) => `provider ${id} client secret`

type Change = Partial<Omit<ProviderRow, 'id' | 'name' | 'issuer' | 'createdAt'>>

/** What of `edit` differs from how the provider stands: asking twice changes nothing. */
function changeOf(
  row: ProviderRow,
  { provider: _ref, clientSecret, disabled, ...rules }: ProviderEdit,
  { sealer, now }: Pick<Call, 'sealer' | 'now'>,
): Change {
  const had: Record<string, unknown> = row
  const change: Change = Object.fromEntries(
    Object.entries(rules).filter(([name, value]) => {
      return value !== undefined && JSON.stringify(value) !== JSON.stringify(had[name])
    }),
  )
  if (clientSecret !== undefined && openClientSecret(sealer, row) !== clientSecret) {
    change.clientSecret = sealSecret(sealer, row.id, clientSecret)
  }
  if (disabled === true && row.disabledAt === null) change.disabledAt = now
  if (disabled === false && row.disabledAt !== null) change.disabledAt = null
  return change
}

function kindOf(change: Change): string {
  if (change.disabledAt === undefined) return 'provider.updated'
  return change.disabledAt === null ? 'provider.enabled' : 'provider.disabled'
}

function judgeIssuer(issuer: string, isInsecureAllowed: boolean): void {
  const { protocol, username, password } = new URL(issuer)
  if (username !== '' || password !== '') {
    throw new Failure('invalid', 'issuer: must not hold a user name or a password')
  }
  if (protocol === 'https:' || isInsecureAllowed) return
  throw new Failure('invalid', 'issuer: must be https (see INFRA_INSECURE_PROVIDERS)')
}

function judgeRules(rules: Parameters<typeof whyTooOpen>[0]): void {
  const why = whyTooOpen(rules)
  if (why !== null) throw new Failure('invalid', why)
}

/** Ends the sessions that came in by it, and gives where that is felt. */
async function endAllOf(tx: Database, providerId: string, now: Date): Promise<string[]> {
  const brought = await broughtBy(tx, providerId)
  await endSessionsOf(tx, providerId, now)
  return destinationsOf(tx, brought)
}

async function endSessionsOf(tx: Database, providerId: string, now: Date): Promise<void> {
  await tx
    .update(sessions)
    .set({ endedAt: now })
    .where(and(eq(sessions.providerId, providerId), isNull(sessions.endedAt)))
}

function named({ id, name }: ProviderRow): { id: string; name: string } {
  return { id, name }
}

function toWire({ clientSecret, disabledAt, createdAt, ...row }: ProviderRow): Provider {
  return {
    ...row,
    hasClientSecret: clientSecret !== null,
    disabled: disabledAt !== null,
    createdAt: createdAt.toISOString(),
  }
}
