/**
 * The one client of the server's API, written by hand, a line a route. CLI, connector, UI and the
 * API tests use nothing else, so the table of routes and this file cannot drift apart.
 */
import { z } from 'zod'
import { CreatedAccessKey, AccessKeys, type NewAccessKey } from './keys.ts'
import {
  Certificate,
  CreatedDestination,
  type DestinationEdit,
  Destinations,
  EditedDestination,
  MyDestinations,
  type NewDestination,
  Receipt,
  type ReceiptQuery,
  ShownDestination,
} from './destinations.ts'
import { type EventQuery, Events } from './events.ts'
import { Failure, isFailureCode } from './failure.ts'
import { CreatedGrant, Grants, type GrantWords, type NewGrant, RevokedGrants } from './grants.ts'
import { CreatedGroup, Groups, type NewGroup } from './groups.ts'
import {
  type BeginLogin,
  BegunLogin,
  type FinishLogin,
  LoginOffer,
  Me,
  type PasswordLogin,
  StartedSession,
} from './login.ts'
import { type PollAck, PollAnswer, type PollQuery } from './poll.ts'
import { CreatedProvider, type NewProvider, type ProviderEdit, Providers } from './providers.ts'
import { Changed, None } from './shared.ts'
import { Sessions } from './sessions.ts'
import { type NewToken, Token } from './tokens.ts'
import {
  CreatedUser,
  EditedUser,
  type NewPassword,
  type NewUser,
  Users,
  type UserEdit,
} from './users.ts'

export type Fetch = (request: Request) => Response | Promise<Response>
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

const Refusal = z.object({ code: z.string(), message: z.string() })

export class Client {
  readonly #server: string
  readonly #credential: string | null
  readonly #fetch: Fetch

  /**
   * `server` is the server's URL, `credential` a session's or an access key's `id.secret` (null for
   * a stranger), `fetch` the network: `dial.ts` makes one for a private CA, tests hand in
   * `app.fetch`.
   *
   * @throws {Failure} `invalid` for a credential that no header can carry.
   */
  constructor(server: string, credential: string | null, fetch: Fetch) {
    this.#server = server.replace(/\/+$/, '')
    // Node's own refusal of such a header repeats the whole of it.
    if (credential !== null && /[^\t -~]/.test(credential.trimEnd())) {
      throw new Failure('invalid', 'the credential holds a letter that none has, or a line end')
    }
    this.#credential = credential
    this.#fetch = fetch
  }

  // prettier-ignore
  readonly login = {
    offer: () => this.#call('GET', '/api/login', LoginOffer),
    password: (body: PasswordLogin) => this.#call('POST', '/api/login/password', StartedSession, body),
    beginOidc: (body: BeginLogin) => this.#call('POST', '/api/login/oidc', BegunLogin, body),
    finishOidc: (body: FinishLogin) => this.#call('POST', '/api/login/oidc/finish', StartedSession, body),
  }
  // prettier-ignore
  readonly me = {
    get: () => this.#call('GET', '/api/me', Me),
    destinations: () => this.#call('GET', '/api/me/destinations', MyDestinations),
    changePassword: (body: NewPassword) => this.#call('POST', '/api/me/password', None, body),
    logout: () => this.#call('POST', '/api/logout', None, {}),
    createToken: (body: NewToken) => this.#call('POST', '/api/tokens', Token, body),
  }
  // prettier-ignore
  readonly users = {
    list: () => this.#call('GET', '/api/users', Users),
    create: (body: NewUser) => this.#call('POST', '/api/users', CreatedUser, body),
    update: ({ user, ...body }: UserEdit) => this.#call('PUT', `/api/users/${part(user)}`, EditedUser, body),
    delete: (user: string) => this.#call('DELETE', `/api/users/${part(user)}`, Changed),
  }
  // prettier-ignore
  readonly groups = {
    list: () => this.#call('GET', '/api/groups', Groups),
    create: (body: NewGroup) => this.#call('POST', '/api/groups', CreatedGroup, body),
    delete: (group: string) => this.#call('DELETE', `/api/groups/${part(group)}`, Changed),
    addUser: (group: string, user: string) => this.#call('PUT', `/api/groups/${part(group)}/users/${part(user)}`, Changed, {}),
    removeUser: (group: string, user: string) => this.#call('DELETE', `/api/groups/${part(group)}/users/${part(user)}`, Changed),
  }
  // prettier-ignore
  readonly providers = {
    list: () => this.#call('GET', '/api/providers', Providers),
    create: (body: NewProvider) => this.#call('POST', '/api/providers', CreatedProvider, body),
    update: ({ provider, ...body }: ProviderEdit) => this.#call('PUT', `/api/providers/${part(provider)}`, CreatedProvider, body),
    delete: (provider: string) => this.#call('DELETE', `/api/providers/${part(provider)}`, Changed),
  }
  // prettier-ignore
  readonly destinations = {
    list: () => this.#call('GET', '/api/destinations', Destinations),
    get: (destination: string) => this.#call('GET', `/api/destinations/${part(destination)}`, ShownDestination),
    create: (body: NewDestination) => this.#call('POST', '/api/destinations', CreatedDestination, body),
    update: ({ destination, ...body }: DestinationEdit) => this.#call('PUT', `/api/destinations/${part(destination)}`, EditedDestination, body),
    delete: (destination: string) => this.#call('DELETE', `/api/destinations/${part(destination)}`, Changed),
    receipt: ({ destination, ...query }: ReceiptQuery) => this.#call('GET', `/api/destinations/${part(destination)}/receipt?${queryOf(query)}`, Receipt),
  }
  // prettier-ignore
  readonly grants = {
    list: () => this.#call('GET', '/api/grants', Grants),
    create: (body: NewGrant) => this.#call('POST', '/api/grants', CreatedGrant, body),
    revoke: (id: string) => this.#call('DELETE', `/api/grants/${part(id)}`, Changed),
    revokeByWords: (body: GrantWords) => this.#call('POST', '/api/grants/revoke', RevokedGrants, body),
  }
  // prettier-ignore
  readonly keys = {
    list: () => this.#call('GET', '/api/keys', AccessKeys),
    create: (body: NewAccessKey) => this.#call('POST', '/api/keys', CreatedAccessKey, body),
    revoke: (key: string) => this.#call('DELETE', `/api/keys/${part(key)}`, Changed),
  }
  // prettier-ignore
  readonly sessions = {
    list: () => this.#call('GET', '/api/sessions', Sessions),
    end: (id: string) => this.#call('DELETE', `/api/sessions/${part(id)}`, Changed),
  }
  readonly events = {
    list: (query: Partial<EventQuery> = {}) =>
      this.#call('GET', `/api/events?${queryOf(query)}`, Events),
  }
  // prettier-ignore
  readonly connector = {
    certificate: (csr: string) => this.#call('POST', '/api/connector/certificate', Certificate, { csr }),
    access: (query: PollQuery) => this.#call('GET', `/api/connector/access?${queryOf(query)}`, PollAnswer),
    enforced: (body: PollAck) => this.#call('POST', '/api/connector/access', None, body),
  }

  /** Sends one request; a refusal comes back as the `Failure` that the server threw. */
  async #call<T>(method: Method, path: string, gives: z.ZodType<T>, body?: object): Promise<T> {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (this.#credential) headers['authorization'] = `Bearer ${this.#credential}`
    if (body) headers['content-type'] = 'application/json'
    const response = await this.#send(
      new Request(this.#server + path, {
        method,
        headers,
        redirect: 'manual',
        ...(body ? { body: JSON.stringify(body) } : {}),
      }),
    )
    const reply: unknown = await response.json().catch(() => null)
    if (!response.ok) throw refusalOf(response.status, reply)
    const parsed = gives.safeParse(reply)
    if (parsed.success) return parsed.data
    throw new Failure(
      'unavailable',
      `the server at ${this.#server} gave an answer of another shape`,
      {
        cause: parsed.error,
      },
    )
  }

  async #send(request: Request): Promise<Response> {
    try {
      return await this.#fetch(request)
    } catch (cause) {
      throw new Failure('unavailable', `cannot reach the server at ${this.#server}`, { cause })
    }
  }
}

function refusalOf(status: number, reply: unknown): Failure {
  const said = Refusal.safeParse(reply)
  if (said.success && isFailureCode(said.data.code)) {
    return new Failure(said.data.code, said.data.message)
  }
  return new Failure('unavailable', `the server answered with status ${status}`)
}

function part(text: string): string {
  return encodeURIComponent(text)
}

function queryOf(query: Record<string, unknown>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}
