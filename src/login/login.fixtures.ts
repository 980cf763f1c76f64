/** A world that may talk to providers on this machine, and the CLI's part of an OIDC login. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { recordedClient } from '../../test/secrets/fetch.ts'
import { written } from '../../test/secrets/record.ts'
import { type World, world } from '../../test/world.ts'
import { identities, logins, sessions, users } from '../db/schema.ts'
import type { Settings } from '../settings.ts'
import { Client, type Fetch } from '../wire/client.ts'
import type { NewProvider } from '../wire/providers.ts'
import { providerFetch } from './network.ts'

export type LoginWorld = World & {
  /** All that the server has answered and logged so far. */
  said(): string
  providerFetch: Fetch
}

export async function loginWorld(
  t: TestContext,
  more: Partial<Settings> = {},
): Promise<LoginWorld> {
  const settings = { insecureProviders: true, ...more }
  const network = providerFetch(settings)
  const made = await world(t, { settings, providerFetch: network })
  const heard: string[] = []
  hearLog(t, heard)
  const heardFetch: Fetch = async (request) => {
    const response = await made.fetch(request)
    heard.push(JSON.stringify([...response.headers]), await response.clone().text())
    return response
  }
  const stranger = new Client('http://server', null, recordedClient(heardFetch))
  return { ...made, stranger, providerFetch: network, said: () => heard.join('\n') }
}

function hearLog(t: TestContext, heard: string[]): void {
  const { write } = process.stderr
  process.stderr.write = (text: string | Uint8Array) => {
    heard.push(String(text))
    written('server log', 'server', String(text))
    return true
  }
  t.after(() => {
    process.stderr.write = write
  })
}

export async function addProvider(
  { client }: World,
  provider: { issuer: string; client: { id: string; secret: string | null } },
  rules: Partial<NewProvider> = {},
): Promise<void> {
  const { id, secret } = provider.client
  await client.providers.create({
    name: 'local',
    issuer: provider.issuer,
    clientId: id,
    ...(secret === null ? {} : { clientSecret: secret }),
    ...rules,
  })
}

export type BegunByCli = {
  login: string
  state: string
  authorizationUrl: string
  verifier: string
}

/** What the CLI does first: `verifier` is its own secret. */
export async function begin(
  { stranger }: Pick<World, 'stranger'>,
  provider = 'local',
  redirectUri = `http://127.0.0.1:8000/callback/${provider}`,
): Promise<BegunByCli> {
  const verifier = randomBytes(32).toString('base64url')
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  const begun = await stranger.login.beginOidc({ provider, redirectUri, challenge })
  return { ...begun, verifier }
}

/** What the CLI does last, with the URL that the browser came back by. */
export function finish(
  { stranger }: Pick<World, 'stranger'>,
  { login, verifier }: Pick<BegunByCli, 'login' | 'verifier'>,
  callbackUrl: string,
) {
  return stranger.login.finishOidc({
    login,
    verifier,
    callback: new URL(callbackUrl).search.slice(1),
  })
}

/** Nobody was let in: no session but the administrator's, no user, no identity. */
export async function assertNobodyIn({ db, admin }: World): Promise<void> {
  const standing = await db.select({ id: sessions.id }).from(sessions)
  assert.deepEqual(standing, [{ id: admin.session }])
  assert.deepEqual(await db.select({ id: users.id }).from(users), [{ id: admin.id }])
  assert.deepEqual(await db.select().from(identities), [])
}

export async function pendingLogins({ db }: World): Promise<number> {
  return db.$count(logins)
}
