import { Client } from '../../src/wire/client.ts'
import { fetchWith } from '../../src/wire/dial.ts'
import { Failure } from '../../src/wire/failure.ts'
import type { LoginOffer, StartedSession } from '../../src/wire/login.ts'
import { command } from '../command.ts'
import { caFrom, timed } from '../connect.ts'
import { hinted, Misuse } from '../hint.ts'
import { refreshKubeconfig, report } from '../kubeconfig/refresh.ts'
import { loginWithProvider, type OfferedProvider } from '../login/oidc.ts'
import { loginWithPassword } from '../login/password.ts'
import { trustedCa } from '../login/trust.ts'
import { configFolder } from '../disk/places.ts'
import { eraseTokens } from '../plugin-cache.ts'
import { serverUrl } from '../server-url.ts'
import { changeSessions, knownServer, readSessions, StoredSession } from '../session.ts'
import type { Terminal } from '../terminal/terminal.ts'

const requestMs = 30_000
/** As long as a person may need at a provider with its second factors. */
const browserWaitMs = 300_000

type Asked = {
  server?: string | undefined
  provider?: string | undefined
  user?: string | undefined
  browser: boolean
  'ca-file'?: string | undefined
}
type Target = { server: string; ca: string | null; client: Client }

export const login = command({
  summary: 'log in to a server',
  detail:
    'What is missing is asked for on a terminal. The kubeconfig then holds every cluster you may use.',
  arguments: {
    server: {
      type: 'positional',
      required: false,
      description: 'URL of the server (default: INFRA_SERVER, else the last one)',
    },
    provider: { type: 'string', valueHint: 'NAME', description: 'log in with this OIDC provider' },
    user: { type: 'string', valueHint: 'EMAIL', description: 'log in with e-mail and password' },
    browser: {
      type: 'boolean',
      default: true,
      description: 'open the browser',
      negatable: 'print the page to open, and do not open it',
    },
    device: { type: 'boolean', description: 'log in with a browser on another machine' },
    'ca-file': {
      type: 'string',
      valueHint: 'FILE',
      description: 'PEM file with the CA of a server that has its own',
    },
  },
  environment: {
    INFRA_USER: 'e-mail to log in with',
    INFRA_PASSWORD: 'its password',
    INFRA_NEW_PASSWORD: 'the password to choose in place of a one-time one',
    BROWSER: 'the command that opens a page',
  },
  examples: [
    'infra login infra.example.com',
    'infra login infra.example.com --provider okta --no-browser',
    'infra login https://localhost:8443 --user ana@example.com --ca-file ca.crt',
  ],
  async run(terminal, values) {
    if (values.device) {
      throw hinted(
        new Failure('unavailable', 'this server does not offer a login by device yet'),
        'infra login --no-browser',
      )
    }
    if (values.provider !== undefined && values.user !== undefined) {
      throw new Misuse('--provider and --user are two ways to log in: give one')
    }
    const target = await targetOf(terminal, values)
    const started = await startedSession(terminal, target, values)
    await keep(terminal, target, started)
    for (const warning of started.warnings) terminal.err(`warning: ${warning}`)
    terminal.err(`Logged in to ${target.server} as ${started.user.email}.`)
    await fillKubeconfig(terminal, target, started)
  },
})

async function targetOf(terminal: Terminal, asked: Asked): Promise<Target> {
  const { env } = terminal
  const known = readSessions(configFolder(env))
  const named = asked.server ?? env['INFRA_SERVER'] ?? known.current
  const written = named ?? (terminal.isInteractive ? await terminal.ask('Server: ') : '')
  if (!written) throw new Misuse('SERVER is missing')
  const server = serverUrl(written, env)
  const file = asked['ca-file'] ?? env['INFRA_SERVER_CA_FILE']
  const ca = file
    ? caFrom(file)
    : (knownServer(known, server)?.ca ?? (await trustedCa(terminal, server)))
  return { server, ca, client: new Client(server, null, timed(fetchWith(ca), requestMs)) }
}

async function startedSession(
  terminal: Terminal,
  { client }: Target,
  asked: Asked,
): Promise<StartedSession> {
  const offer = await client.login.offer()
  const way = await chosenWay(terminal, offer, asked)
  if (way === 'password')
    return loginWithPassword(terminal, client, asked.user ?? terminal.env['INFRA_USER'])
  return loginWithProvider(terminal, {
    client,
    provider: way,
    opensBrowser: asked.browser,
    waitMs: browserWaitMs,
  })
}

/** What the words say, else the only way there is, else what the person picks. */
async function chosenWay(
  terminal: Terminal,
  offer: LoginOffer,
  asked: Asked,
): Promise<OfferedProvider | 'password'> {
  const names = offer.providers.map(({ name }) => name)
  if (asked.provider !== undefined) return providerNamed(offer, asked.provider)
  const wantsPassword = asked.user ?? terminal.env['INFRA_USER'] ?? terminal.env['INFRA_PASSWORD']
  if (wantsPassword && offer.password) return 'password'
  if (asked.user !== undefined)
    throw new Failure('unavailable', 'this server does not offer a login by password')
  const ways = [...names, ...(offer.password ? ['password'] : [])]
  const only = ways.length === 1 ? ways[0] : undefined
  const picked = only ?? (await pick(terminal, ways))
  return picked === 'password' && offer.password ? 'password' : providerNamed(offer, picked)
}

async function pick(terminal: Terminal, ways: string[]): Promise<string> {
  if (ways.length === 0) throw new Failure('unavailable', 'this server offers no way to log in')
  if (!terminal.isInteractive) {
    throw hinted(
      new Misuse(`this server offers several ways to log in: ${ways.join(', ')}`),
      'give --provider NAME or --user EMAIL',
    )
  }
  terminal.err('You can log in with')
  for (const [at, way] of ways.entries()) terminal.err(`  ${at + 1}  ${way}`)
  const answer = await terminal.ask('Which one? ')
  return ways[Number(answer) - 1] ?? answer
}

function providerNamed({ providers }: LoginOffer, name: string): OfferedProvider {
  const provider = providers.find((offered) => offered.name === name)
  if (provider) return provider
  const known = providers.map((offered) => offered.name).join(', ') || 'none'
  throw new Failure('not_found', `this server offers no provider "${name}" (it offers: ${known})`)
}

/** Keeps the session, and forgets the tokens of whoever was logged in to this server before. */
async function keep(
  terminal: Terminal,
  { server, ca }: Target,
  started: StartedSession,
): Promise<void> {
  const folder = configFolder(terminal.env)
  const read = StoredSession.safeParse({
    id: started.session,
    credential: started.credential,
    user: { id: started.user.id, email: started.user.email },
    expiresAt: started.expiresAt,
  })
  if (!read.success)
    throw new Failure('unavailable', `the session that ${server} gave is not one that can be kept`)
  const session = read.data
  await changeSessions(folder, ({ servers }) => ({
    current: server,
    servers: { ...servers, [server]: { ca, session } },
  }))
  eraseTokens(folder, (kept) => kept.server === server)
}

async function fillKubeconfig(
  terminal: Terminal,
  { server, ca }: Target,
  started: StartedSession,
): Promise<void> {
  const client = new Client(server, started.credential, timed(fetchWith(ca), requestMs))
  const mine = await client.me.destinations()
  const refreshed = await refreshKubeconfig(
    terminal.env,
    { server, session: started.session, destinations: mine },
    { kind: 'first' },
  )
  report(terminal, refreshed)
  const names = refreshed.entries.map(({ destination }) => destination.name)
  if (names.length === 0)
    terminal.err('You have no access to any destination yet: an administrator grants it.')
  else
    terminal.err(
      `Your destinations: ${names.join(', ')}.${refreshed.current ? ` kubectl uses ${refreshed.current}.` : ''}`,
    )
}
