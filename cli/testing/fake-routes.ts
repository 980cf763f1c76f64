/** The routes of the fake server, one line each, by the wire's schemas. */
import { z } from 'zod'
import {
  CreatedDestination,
  DestinationEdit,
  Destinations,
  EditedDestination,
  MyDestinations,
  NewDestination,
  Receipt,
  ReceiptQuery,
  ShownDestination,
} from '../../src/wire/destinations.ts'
import { EventQuery, Events } from '../../src/wire/events.ts'
import { Failure } from '../../src/wire/failure.ts'
import { CreatedGrant, Grants, GrantWords, NewGrant, RevokedGrants } from '../../src/wire/grants.ts'
import { CreatedGroup, GroupRef, Groups, NewGroup } from '../../src/wire/groups.ts'
import { AccessKeys, CreatedAccessKey, NewAccessKey } from '../../src/wire/keys.ts'
import {
  BeginLogin,
  BegunLogin,
  FinishLogin,
  LoginOffer,
  Me,
  PasswordLogin,
  StartedSession,
} from '../../src/wire/login.ts'
import { CreatedProvider, NewProvider, Providers } from '../../src/wire/providers.ts'
import { Sessions } from '../../src/wire/sessions.ts'
import { ById, Changed, None } from '../../src/wire/shared.ts'
import { NewToken, Token } from '../../src/wire/tokens.ts'
import {
  CreatedUser,
  EditedUser,
  NewPassword,
  NewUser,
  UserEdit,
  UserRef,
  Users,
} from '../../src/wire/users.ts'
import { type Account, challengeOf, type World } from './fake-server.ts'

type Call = { world: World; account: Account | null; credential: string }
type Route = {
  method: string
  path: RegExp
  isClosed: boolean
  takes: z.ZodType
  gives: z.ZodType
  run: (call: Call, input: unknown) => unknown
}

const at = '2030-01-01T00:00:00.000Z'
const Anything = z.looseObject({})

function route<T extends z.ZodType>(
  method: string,
  path: string,
  takes: T,
  gives: z.ZodType,
  run: (call: Call, input: z.output<T>) => unknown,
): Route {
  return {
    method,
    path: new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`),
    isClosed: !path.startsWith('/api/login'),
    takes,
    gives,
    run: (call, input) => run(call, takes.parse(input)),
  }
}

// prettier-ignore
export const routes: Route[] = [
  route('GET', '/api/login', None, LoginOffer, ({ world }) => ({
    password: world.offersPassword,
    providers: world.providers.map((it) => ({ ...it, issuer: 'https://idp.example', loopbackHost: '127.0.0.1' })),
  })),
  route('POST', '/api/login/password', PasswordLogin, StartedSession, ({ world }, { email, password, newPassword }) => {
    const account = world.accounts.find((it) => it.email === email && it.password === password)
    if (!account) throw new Failure('unauthenticated', 'wrong e-mail or password')
    if (account.oneTime && newPassword === undefined) throw new Failure('conflict', 'a new password must be chosen')
    if (newPassword !== undefined) Object.assign(account, { password: newPassword, oneTime: false })
    return started(world, account)
  }),
  route('POST', '/api/login/oidc', BeginLogin, BegunLogin, ({ world }, { challenge, redirectUri }) => {
    const login = `l-${world.pending.size}`
    world.pending.set(login, { challenge, redirectUri, state: `state-${login}`, code: `code-${login}` })
    const refuse = world.warnings.includes('refuse') ? '&refuse' : ''
    return { login, authorizationUrl: `${world.url}/authorize?login=${login}${refuse}`, state: `state-${login}`, expiresAt: at }
  }),
  route('POST', '/api/login/oidc/finish', FinishLogin, StartedSession, ({ world }, { login, verifier, callback }) => {
    const pending = world.pending.get(login)
    world.pending.delete(login)
    const query = new URLSearchParams(callback)
    if (query.has('error')) throw new Failure('unauthenticated', `the provider refused the login: ${query.get('error')}`)
    const [ana] = world.accounts
    if (!ana || pending?.challenge !== challengeOf(verifier) || query.get('code') !== pending.code) {
      throw new Failure('unauthenticated', 'this login is not known')
    }
    return started(world, ana)
  }),
  route('GET', '/api/me', None, Me, ({ account, credential }) => ({
    user: { ...account, groups: ['ops'] },
    session: credential.startsWith('key-') ? null : { id: credential.split('.')[0], provider: null, expiresAt: at, createdAt: at },
  })),
  route('GET', '/api/me/destinations', None, MyDestinations, ({ world }) => world.destinations),
  route('POST', '/api/me/password', NewPassword, None, ({ account }, { oldPassword, newPassword }) => {
    if (account?.password !== oldPassword) throw new Failure('unauthenticated', 'the old password is wrong')
    account.password = newPassword
    return {}
  }),
  route('POST', '/api/tokens', NewToken, Token, async ({ world }, { destination: id }) => {
    const token = `token-${++world.tokens}`
    await world.beforeToken
    const expiresAt = new Date(Date.now() + world.tokenLifeSeconds * 1000).toISOString()
    return { token, expiresAt, destination: { id, name: 'prod' } }
  }),
  route('POST', '/api/logout', Anything, None, ({ world, credential }) => {
    world.sessions.delete(credential)
    return {}
  }),
  route('GET', '/api/users', None, Users, ({ world }) => world.accounts.map(userOf)),
  route('POST', '/api/users', NewUser, CreatedUser, (_, { email, admin }) => ({ ...userOf({ id: 'u-new', email, admin, password: '', oneTime: true }), password: 'one time pass', revision: 7 })),
  route('PUT', '/api/users/:user', UserEdit, EditedUser, ({ account }, { user, resetPassword }) => ({ ...userOf({ id: 'u-x', admin: account?.admin ?? false, email: decodeURIComponent(user), password: '', oneTime: false }), password: resetPassword ? 'another one' : null, revision: 8, destinations: ['d-prod'] })),
  route('DELETE', '/api/users/:user', UserRef, Changed, () => ({ revision: 9, destinations: ['d-prod'] })),
  route('GET', '/api/groups', None, Groups, () => [{ ...group('ops'), members: ['ana@example.com'] }, { ...group('okta/eng\u001b[31m'), provider: 'okta' }]),
  route('POST', '/api/groups', NewGroup, CreatedGroup, (_, { name }) => ({ ...group(name), revision: 3 })),
  route('DELETE', '/api/groups/:group', GroupRef, Changed, () => ({ revision: 3 })),
  route('PUT', '/api/groups/:group/users/:user', Anything, Changed, () => ({ revision: 3 })),
  route('DELETE', '/api/groups/:group/users/:user', Anything, Changed, () => ({ revision: 3, destinations: [] })),
  route('GET', '/api/grants', None, Grants, () => [grant('ana@example.com', 'view', null)]),
  route('POST', '/api/grants', NewGrant, CreatedGrant, (_, words) => ({ ...grant(words.user ?? words.group ?? '', words.role, words.namespace), expiresAt: words.expiresAt, revision: 12 })),
  route('POST', '/api/grants/revoke', GrantWords, RevokedGrants, () => ({ revision: 13, revoked: ['g-1'] })),
  route('GET', '/api/destinations', None, Destinations, () => [destination('prod')]),
  route('POST', '/api/destinations', NewDestination, CreatedDestination, (_, { name }) => ({ ...destination(name), accessKey: 'key-c.secret', revision: 4 })),
  route('PUT', '/api/destinations/:destination', DestinationEdit, EditedDestination, (_, { destination: name, leaseSeconds }) => ({ ...destination(name), leaseSeconds, revision: 5 })),
  route('GET', '/api/destinations/:destination', None, ShownDestination, () => ({ ...destination('prod'), connectors: instances })),
  route('GET', '/api/destinations/:destination/receipt', ReceiptQuery, Receipt, (_, { revision }) => receipt(revision)),
  route('GET', '/api/providers', None, Providers, () => []),
  route('POST', '/api/providers', NewProvider, CreatedProvider, (_, { clientSecret, ...rest }) => ({ ...rest, id: 'p-1', hasClientSecret: clientSecret !== undefined, disabled: false, createdAt: at, revision: 6 })),
  route('GET', '/api/keys', None, AccessKeys, () => []),
  route('POST', '/api/keys', NewAccessKey, CreatedAccessKey, (_, { name, expiresAt, destination: it }) => ({ id: 'k-1', name, user: it ? null : 'ana@example.com', destination: it ?? null, expiresAt, lastUsedAt: null, createdAt: at, accessKey: 'k-1.secret', revision: 2 })),
  route('GET', '/api/sessions', None, Sessions, () => [{ id: 's-1', user: 'ana@example.com', provider: null, createdAt: at, lastUsedAt: at, expiresAt: at }]),
  route('DELETE', '/api/sessions/:id', ById, Changed, () => ({ revision: 2 })),
  route('GET', '/api/events', EventQuery, Events, (_, { after, limit }) => Array.from({ length: Math.min(limit, 1200 - after) }, (_each, n) => event(after + n + 1))),
]

function started(world: World, account: Account): z.input<typeof StartedSession> {
  const { id, email, admin } = account
  return {
    ...world.startSession(account),
    user: { id, email, admin },
    expiresAt: at,
    warnings: world.warnings,
  }
}

function userOf({ id, email, admin }: Account): z.input<typeof Users>[number] {
  return { id, email, admin, disabled: false, groups: ['ops'], createdAt: at, lastLoginAt: null }
}

function group(name: string): z.input<typeof Groups>[number] {
  return { id: 'gr-1', name, provider: null, members: [], createdAt: at }
}

function grant(
  name: string,
  role: string,
  namespace: string | null,
): z.input<typeof Grants>[number] {
  return {
    id: 'g-1',
    subject: { kind: 'user', id: 'u-ana', name },
    destination: { id: 'd-prod', name: 'prod' },
    namespace,
    role,
    expiresAt: null,
    createdAt: at,
  }
}

function destination(name: string): z.input<typeof Destinations>[number] {
  return {
    id: `d-${name}`,
    name,
    endpoint: 'prod.example.com:6443',
    pendingEndpoint: null,
    leaseSeconds: 360,
    onLeaseEnd: 'cut',
    linked: 1,
    link: 'linked',
    lastSeenAt: at,
    createdAt: at,
  }
}

/** One that has just enforced a revocation, and one that is gone. */
const instances: z.input<typeof ShownDestination>['connectors'] = [
  {
    ...{ instance: 'prod-a', link: 'linked', silentSince: null, revision: 12 },
    ...{ leaseEndsAt: at, leaseLeftSeconds: 353.4, behind: { revisions: 2, since: at } },
    lastRevocation: { revision: 12, kind: 'grant.revoked', at, ms: 14, severed: 3 },
  },
  {
    ...{ instance: 'prod-b', link: 'silent', silentSince: at, revision: null },
    ...{ leaseEndsAt: at, leaseLeftSeconds: 60, behind: null, lastRevocation: null },
  },
]

/** Of odd revisions one connector is offline, and nothing is enforced. */
function receipt(revision: number): z.input<typeof Receipt> {
  const linked = {
    ...{ instance: 'prod-a', linked: true, link: 'linked' as const },
    ...{ enforcedAt: at, severed: 2, leaseEndsAt: null },
  }
  const offline = {
    instance: 'prod-b',
    linked: false,
    link: 'silent' as const,
    enforcedAt: null,
    severed: 0,
    leaseEndsAt: at,
  }
  const isOdd = revision % 2 === 1
  return {
    destination: { id: 'd-prod', name: 'prod' },
    revision,
    enforced: !isOdd,
    onLeaseEnd: 'cut',
    connectors: isOdd ? [offline] : [linked],
  }
}

function event(number: number): z.input<typeof Events>[number] {
  return {
    number,
    kind: 'user.created',
    at,
    actor: { kind: 'system', id: null, name: 'system' },
    detail: { email: 'ana@example.com' },
    destinations: [],
  }
}
