/**
 * A real OIDC provider on a port of this machine, for tests, journeys and the demo: `oidc-provider`
 * with a login page on which one of three people is chosen, by a person in a browser or by
 * `login`. Groups and e-mail stand in the ID token; refresh tokens rotate.
 */
import { createServer, type Server } from 'node:http'
import { exportJWK, generateKeyPair } from 'jose'
import type { Configuration, Provider } from 'oidc-provider'
import { visit } from './browser.ts'
import { memoryOf } from './provider-memory.ts'
import { interact } from './provider-login.ts'
import { harvest, harvestQuery } from './secrets/harvest.ts'
import { secret, written } from './secrets/record.ts'

export type Person = {
  sub: string
  name: string
  email: string
  emailVerified: boolean
  groups: string[]
  /** Gone: neither logs in nor refreshes. */
  disabled: boolean
}

export type ClientOfProvider = {
  id: string
  /** Null: a public client. */
  secret: string | null
  redirectUris: string[]
}

export type LocalProvider = {
  issuer: string
  /** Where it listens itself. */
  address: string
  /** The first client. */
  client: ClientOfProvider
  /** The people as they stand: change them, and the provider says so from then on. */
  people: Person[]
  person(name: string): Person
  /**
   * Plays the browser: opens the page, chooses a person, and returns the URL that the provider
   * sends the browser to at the end, without opening it. Null cancels the login.
   */
  login(authorizationUrl: string, person: string | null): Promise<string>
  /** The client's secret, and every token that was issued: what nobody but the server may see. */
  secrets(): string[]
  stop(): Promise<void>
}

export function threePeople(): Person[] {
  const person = (sub: string, name: string, groups: string[]): Person => {
    const email = `${name.toLowerCase()}@example.com`
    return { sub, name, email, emailVerified: true, groups, disabled: false }
  }
  return [
    person('a-1001', 'Ana', ['dev', 'ops']),
    person('b-1002', 'Ben', ['dev']),
    person('c-1003', 'Cleo', []),
  ]
}

/** A client whose redirect URIs are those of the CLI for a provider called `name`. */
export function clientFor(name: string): ClientOfProvider {
  const hosts = ['127.0.0.1:8000', '127.0.0.1:18000', 'localhost:8000', 'localhost:18000']
  return {
    id: 'infra',
    secret: 'a-client-secret-that-never-leaves-the-server',
    redirectUris: hosts.map((host) => `http://${host}/callback/${name}`),
  }
}

export async function startProvider({
  port = 0,
  people = threePeople(),
  clients = [clientFor('local')],
  publicUrl,
}: {
  port?: number
  /** Where it is reached by way of a front (`front.ts`); else at its own port. */
  publicUrl?: string
  people?: Person[]
  clients?: [ClientOfProvider, ...ClientOfProvider[]]
} = {}): Promise<LocalProvider> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  // The issuer must be the very address that is dialled, so it is known only now.
  const address = `http://127.0.0.1:${portOf(server)}`
  const issuer = publicUrl ?? address
  const issued: string[] = []
  const provider = await makeProvider(issuer, people, clients)
  provider.on('refresh_token.saved', (token) => issued.push(token.jti))
  provider.on('access_token.saved', (token) => issued.push(token.jti))
  for (const one of clients) secret('client secret', one.secret)
  recordGranted(provider)
  const answer = provider.callback()
  server.on('request', (request, response) => {
    written('provider URL', 'provider', request.url ?? '')
    if (!request.url?.startsWith('/interaction/')) return void answer(request, response)
    interact(provider, people, request, response).catch((error: unknown) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error))
    })
  })
  return {
    issuer,
    address,
    client: clients[0],
    people,
    person: (name) => personOf(people, name),
    login: (url, name) => {
      return visit(url, issuer, { person: name === null ? 'cancel' : personOf(people, name).sub })
    },
    secrets: () => [...clients.flatMap(({ secret }) => secret ?? []), ...issued],
    stop: () => stop(server),
  }
}

/** What came to the provider and what it gave, for the record of the run. */
function recordGranted(provider: Provider): void {
  provider.on('authorization.accepted', ({ oidc }) => harvestQuery(queryOf(oidc.params)))
  provider.on('authorization.success', (_ctx, out) => harvestQuery(queryOf(out)))
  provider.on('grant.success', ({ oidc, body }) => {
    harvestQuery(queryOf(oidc.params))
    harvest(JSON.stringify(body))
  })
  provider.on('grant.error', ({ oidc }) => harvestQuery(queryOf(oidc.params)))
}

function queryOf(values: object = {}): URLSearchParams {
  const given = Object.entries(values).filter(([, value]) => typeof value === 'string')
  return new URLSearchParams(given as [string, string][])
}

async function makeProvider(
  issuer: string,
  people: Person[],
  clients: ClientOfProvider[],
): Promise<Provider> {
  const { Provider: Made } = await quietly(() => import('oidc-provider'))
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const key = await exportJWK(privateKey)
  return new Made(issuer, {
    ...fixed,
    adapter: memoryOf(),
    clients: clients.map(toMetadata),
    jwks: { keys: [{ ...key, kid: 'provider-1', alg: 'ES256', use: 'sig' }] },
    cookies: { keys: ['signs the cookies of a provider for tests'] },
    findAccount: (_ctx, sub) => {
      const person = people.find((one) => one.sub === sub && !one.disabled)
      return person && { accountId: sub, claims: () => ({ ...claimsOf(person) }) }
    },
  })
}

const fixed: Configuration = {
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  // Otherwise e-mail and groups would be told at the userinfo endpoint only.
  conformIdTokenClaims: false,
  rotateRefreshToken: true,
  features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  ttl: {
    AccessToken: 600,
    AuthorizationCode: 60,
    Grant: 86_400,
    IdToken: 600,
    Interaction: 600,
    RefreshToken: 86_400,
    Session: 600,
  },
  renderError: (ctx, out) => {
    ctx.type = 'text/plain'
    ctx.body = `the provider refuses: ${out.error} ${out.error_description ?? ''}`
  },
}

function toMetadata({ id, secret, redirectUris }: ClientOfProvider) {
  return {
    client_id: id,
    redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token'],
    id_token_signed_response_alg: 'ES256' as const,
    ...(secret === null
      ? { token_endpoint_auth_method: 'none' as const }
      : { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' as const }),
  }
}

function claimsOf({ sub, name, email, emailVerified, groups }: Person) {
  return { sub, name, email, email_verified: emailVerified, groups }
}

function personOf(people: Person[], name: string): Person {
  const person = people.find((one) => one.name === name)
  if (!person) throw new Error(`the provider knows no ${name}`)
  return person
}

function portOf(server: Server): number {
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('the provider has no port')
  return address.port
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

/** oidc-provider warns of every runtime that is not an even release of Node. */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { warn } = console
  console.warn = () => {}
  try {
    return await load()
  } finally {
    console.warn = warn
  }
}
