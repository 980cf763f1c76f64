import { Client } from '../../src/wire/client.ts'
import { fetchWith } from '../../src/wire/dial.ts'
import { Failure } from '../../src/wire/failure.ts'
import { command } from '../command.ts'
import { caOf, timed } from '../connect.ts'
import { hinted } from '../hint.ts'
import { refreshKubeconfig } from '../kubeconfig/refresh.ts'
import { configFolder, type Environment } from '../disk/places.ts'
import { eraseTokens } from '../plugin-cache.ts'
import { serverUrl } from '../server-url.ts'
import { changeSessions, knownServer, readSessions, type StoredSession } from '../session.ts'
import type { Terminal } from '../terminal/terminal.ts'

const requestMs = 15_000

export const logout = command({
  summary: 'end the session with a server',
  detail:
    'Ends it at the server, forgets it and its tokens here, and removes its clusters from the kubeconfig.',
  arguments: {
    server: {
      type: 'positional',
      required: false,
      description: 'URL of the server (default: INFRA_SERVER, else the last one)',
    },
  },
  examples: ['infra logout', 'infra logout infra.example.com'],
  async run(terminal, values) {
    const { server, session } = storedSession(terminal.env, values.server)
    const problem = await endAtServer(terminal.env, server, session)
    await forget(terminal, server)
    await refreshKubeconfig(
      terminal.env,
      { server, session: session.id, destinations: [] },
      { kind: 'keep' },
    )
    if (problem === null) return terminal.err(`Logged out of ${server}.`)
    throw hinted(
      new Failure(
        'unavailable',
        `the session is forgotten here, but the server was not told (${problem.message}): it ends by itself at ${session.expiresAt}`,
      ),
      'an administrator can end it at once: infra sessions end',
    )
  },
})

function storedSession(
  env: Environment,
  given: string | undefined,
): { server: string; session: StoredSession } {
  const sessions = readSessions(configFolder(env))
  const named = given ?? env['INFRA_SERVER']
  const server = named ? serverUrl(named, env) : sessions.current
  const session = server === null ? null : (knownServer(sessions, server)?.session ?? null)
  if (server !== null && session !== null) return { server, session }
  const where = server === null ? '' : ` to ${server}`
  const failure = new Failure('unauthenticated', `you are not logged in${where}`)
  throw env['INFRA_ACCESS_KEY']
    ? hinted(failure, 'the access key in the environment stays until you unset INFRA_ACCESS_KEY')
    : failure
}

/** Null when it has ended there, now or before; else why that is not known. */
async function endAtServer(
  env: Environment,
  server: string,
  { credential }: StoredSession,
): Promise<Failure | null> {
  const client = new Client(server, credential, timed(fetchWith(caOf(env, server)), requestMs))
  try {
    await client.me.logout()
    return null
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.code === 'unauthenticated' ? null : error
  }
}

async function forget({ env }: Terminal, server: string): Promise<void> {
  const folder = configFolder(env)
  await changeSessions(folder, ({ current, servers }) => ({
    current: current === server ? null : current,
    servers: { ...servers, [server]: { ca: servers[server]?.ca ?? null, session: null } },
  }))
  eraseTokens(folder, (kept) => kept.server === server)
}
