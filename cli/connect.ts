/** The server that a command speaks to, and as whom: the environment's access key, or a session. */
import { readFileSync } from 'node:fs'
import { Client, type Fetch } from '../src/wire/client.ts'
import { fetchWith } from '../src/wire/dial.ts'
import { Failure, statusOf } from '../src/wire/failure.ts'
import { Credential } from './credential.ts'
import { hinted } from './hint.ts'
import { configFolder, type Environment } from './disk/places.ts'
import { eraseTokens } from './plugin-cache.ts'
import { serverUrl } from './server-url.ts'
import { knownServer, readSessions, type StoredSession } from './session.ts'
import type { Terminal } from './terminal/terminal.ts'

/** Who asks. `session` is null where the credential is the environment's access key. */
export type Standing = {
  server: string
  ca: string | null
  credential: string
  /** The public half of the credential: what kubeconfig entries are pinned to. */
  id: string
  session: StoredSession | null
}
export type Connection = Standing & { client: Client; folder: string }

/** Longer than a receipt may be waited for. */
const requestMs = 90_000
/** As much as a message of the event stream may have (`dial.ts`). */
const longestAnswer = 64 * 1024 * 1024
const tooMuch = { code: 'unavailable', message: 'the server does not stop answering' }

/**
 * Does `work` as whoever is logged in. A refused credential is explained; the environment's key is
 * never erased for it, and of a stored session only the cached tokens are (security.md K5).
 */
export async function signedIn<T>(
  { env }: Terminal,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const folder = configFolder(env)
  const standing = standingOf(env)
  const { server, ca, credential } = standing
  const client = new Client(server, credential, timed(fetchWith(ca), requestMs))
  try {
    return await work({ ...standing, client, folder })
  } catch (error) {
    if (error instanceof Failure && error.code === 'unauthenticated') throw ended(standing, folder)
    throw error
  }
}

/**
 * The credential in force: an access key in the environment, else the session with `INFRA_SERVER`,
 * else the one with the server used last.
 *
 * @throws {Failure} `unauthenticated` when nobody is logged in.
 */
export function standingOf(env: Environment): Standing {
  const named = env['INFRA_SERVER'] ? serverUrl(env['INFRA_SERVER'], env) : null
  if (env['INFRA_ACCESS_KEY']) return standingByKey(env, env['INFRA_ACCESS_KEY'], named)
  const server = named ?? readSessions(configFolder(env)).current
  if (server !== null) return standingBySession(env, server)
  throw hinted(new Failure('unauthenticated', 'you are not logged in'), 'infra login SERVER')
}

/** @throws {Failure} `unauthenticated` when there is no session with this server. */
export function standingBySession(env: Environment, server: string): Standing {
  const known = knownServer(readSessions(configFolder(env)), server)
  if (!known?.session)
    throw hinted(
      new Failure('unauthenticated', `you are not logged in to ${server}`),
      `infra login ${server}`,
    )
  const { id, credential } = known.session
  return { server, ca: caOf(env, server), credential, id, session: known.session }
}

/** A key goes to the server that the environment names with it, and to no other. */
export function standingByKey(env: Environment, key: string, server: string | null): Standing {
  if (server === null) {
    throw hinted(
      new Failure(
        'invalid',
        'INFRA_ACCESS_KEY is set and INFRA_SERVER is not: nothing says which server the key is for',
      ),
      'set INFRA_SERVER to the URL of the server',
    )
  }
  if (!Credential.safeParse(key).success)
    throw new Failure('invalid', 'INFRA_ACCESS_KEY is not an access key, which is ID.SECRET')
  const id = key.slice(0, key.indexOf('.'))
  return { server, ca: caOf(env, server), credential: key, id, session: null }
}

/**
 * The CA to trust for a server. The environment's is for the environment's server: kubectl may run
 * the plugin for another, whose own CA was kept when it was first met.
 */
export function caOf(env: Environment, server: string): string | null {
  const file = env['INFRA_SERVER_CA_FILE']
  const known = knownServer(readSessions(configFolder(env)), server)?.ca ?? null
  const isNamed = !!env['INFRA_SERVER'] && serverUrl(env['INFRA_SERVER'], env) === server
  return file && (isNamed || known === null) ? caFrom(file) : known
}

export function caFrom(file: string): string {
  const pem = readFileSync(file, 'utf8')
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new Failure('invalid', `${file} holds no certificate in PEM`)
  }
  return pem
}

/**
 * A network that gives up: a server that swallows packets must not hold a terminal for ever, and one
 * that never ends must not fill the memory.
 */
export function timed(fetch: Fetch, ms: number): Fetch {
  return async (request) =>
    bounded(await fetch(new Request(request, { signal: AbortSignal.timeout(ms) })))
}

/** Bytes are counted as they come out of whatever compression the server chose. */
async function bounded(response: Response): Promise<Response> {
  if (response.body === null) return response
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body) {
    length += chunk.byteLength
    // Said as a refusal: the client shows the sentence.
    if (length > longestAnswer) return Response.json(tooMuch, { status: statusOf.unavailable })
    chunks.push(chunk)
  }
  const { status, headers } = response
  return new Response(Buffer.concat(chunks), { status, headers })
}

/** The sentence for a credential that the server does not know any more. */
export function ended({ server, id, session }: Standing, folder: string): Failure {
  if (session === null) {
    return hinted(
      new Failure(
        'unauthenticated',
        `${server} does not accept the access key in INFRA_ACCESS_KEY`,
      ),
      'ask an administrator for a new one: infra keys add NAME',
    )
  }
  eraseTokens(folder, (kept) => kept.server === server && kept.session === id)
  return hinted(
    new Failure('unauthenticated', `your session with ${server} has ended`),
    `infra login ${server}`,
  )
}
