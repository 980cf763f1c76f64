/**
 * The credential plugin of kubectl. It runs behind somebody's back, many times at once: it never
 * asks, never opens a browser, and sends one request for all who wait (security.md K3).
 */
import { Client } from '../../src/wire/client.ts'
import { fetchWith } from '../../src/wire/dial.ts'
import { Failure } from '../../src/wire/failure.ts'
import { fitsHeader } from '../../src/wire/names.ts'
import { command, noun } from '../command.ts'
import {
  ended,
  standingByKey,
  standingBySession,
  standingOf,
  timed,
  type Standing,
} from '../connect.ts'
import { isCode } from '../disk/unknown.ts'
import { hinted } from '../hint.ts'
import { locked } from '../lock.ts'
import { configFolder, type Environment } from '../disk/places.ts'
import {
  dropToken,
  execCredential,
  isFresh,
  keepToken,
  type KeptToken,
  keptToken,
  markHandedOut,
  tokenFile,
} from '../plugin-cache.ts'
import { serverUrl } from '../server-url.ts'
import { startOf } from '../disk/started.ts'
import type { Terminal } from '../terminal/terminal.ts'

const requestMs = 15_000
const lockWaitMs = 30_000

const create = command({
  summary: 'make a token for a destination, as kubectl asks for it',
  detail:
    'The kubeconfig runs this; it prints an ExecCredential. Tokens are kept until half a minute before they end.',
  arguments: {
    destination: { type: 'positional', description: 'name or id of the destination' },
    server: {
      type: 'string',
      valueHint: 'URL',
      description: 'the server to ask (default: where you are logged in)',
    },
    session: {
      type: 'string',
      valueHint: 'ID',
      description: 'the session that a kubeconfig entry is pinned to',
    },
  },
  examples: [
    'infra tokens create prod',
    'infra tokens create prod --server https://infra.example.com',
  ],
  async run(terminal, { destination, server, session }) {
    const standing = pinned(terminal.env, server, session)
    const token = await tokenFor(terminal, standing, destination)
    terminal.out(execCredential(token).trimEnd())
  },
})

export const tokens = noun('make tokens for kubectl', { create })

/** Who asks. An entry pinned to a session works with that one and no other (architecture.md §7). */
function pinned(
  env: Environment,
  given: string | undefined,
  session: string | undefined,
): Standing {
  const server = given === undefined ? null : serverUrl(given, env)
  const standing = server === null ? standingOf(env) : standingWith(env, server, session)
  if (session === undefined || standing.id === session) return standing
  throw hinted(
    new Failure(
      'forbidden',
      `this kubeconfig entry belongs to another session with ${standing.server} than yours`,
    ),
    'infra list, which writes the entries anew',
  )
}

/** The environment's key is for its own server, and for entries that are pinned to it or to none. */
function standingWith(env: Environment, server: string, session: string | undefined): Standing {
  const { INFRA_ACCESS_KEY: key, INFRA_SERVER: named } = env
  const isKeys = key && named && serverUrl(named, env) === server
  if (isKeys && (session === undefined || key.startsWith(`${session}.`)))
    return standingByKey(env, key, server)
  return standingBySession(env, server)
}

async function tokenFor(
  { env, now }: Terminal,
  standing: Standing,
  destination: string,
): Promise<Pick<KeptToken, 'token' | 'expiresAt'>> {
  const folder = configFolder(env)
  const key = { server: standing.server, session: standing.id, destination }
  const file = tokenFile(folder, key)
  const parent = { pid: process.ppid, started: startOf(process.ppid) }
  const take = (): KeptToken | null => {
    const kept = keptToken(file, key)
    if (!kept || !isFresh(kept, now())) return null
    if (markHandedOut(file, kept, parent)) return kept
    tolerant(() => dropToken(file))
    return null
  }
  const make = async (): Promise<Pick<KeptToken, 'token' | 'expiresAt'>> => {
    // Whoever waited finds what the first one wrote.
    const waited = take()
    if (waited) return waited
    const made = await asked(standing, folder, destination).catch((error: unknown) => {
      const old = stillGood(error, keptToken(file, key), now())
      if (old && markHandedOut(file, old, parent)) return old
      throw error
    })
    if ('storedAt' in made) return made
    tolerant(() =>
      markHandedOut(file, keepToken(file, key, made.token, made.expiresAt, now()), parent),
    )
    return made
  }
  return take() ?? (await lockedIfPossible(`${file}.lock`, make))
}

/** A token with seconds to live is better than none, while the server cannot be reached. */
function stillGood(error: unknown, kept: KeptToken | null, now: number): KeptToken | null {
  const isDown = error instanceof Failure && error.code === 'unavailable'
  return isDown && kept && Date.parse(kept.expiresAt) > now ? kept : null
}

async function asked(
  standing: Standing,
  folder: string,
  destination: string,
): Promise<{ token: string; expiresAt: string } | KeptToken> {
  const client = new Client(
    standing.server,
    standing.credential,
    timed(fetchWith(standing.ca), requestMs),
  )
  try {
    const made = await client.me.createToken({ destination })
    // The fast path hands it to kubectl as it was kept, and a terminal may be in kubectl's place (K4).
    if (!fitsHeader.test(made.token)) throw new Failure('unavailable', 'the server gave no token')
    return made
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    if (error.code === 'unauthenticated') throw ended(standing, folder)
    throw error.code === 'unavailable'
      ? error
      : hinted(error, 'infra list shows what you have access to')
  }
}

/** Without a folder to write in, or a place on the disk, there is no cache and no lock, and kubectl still gets its token. */
async function lockedIfPossible<T>(path: string, work: () => Promise<T>): Promise<T> {
  let began = false
  const once = (): Promise<T> => {
    began = true
    return work()
  }
  try {
    return await locked(path, lockWaitMs, once)
  } catch (error) {
    if (began || !isUnwritable(error)) throw error
    return work()
  }
}

function isUnwritable(error: unknown): boolean {
  return isCode(error, 'EACCES', 'EROFS', 'EPERM', 'ENOSPC', 'EDQUOT', 'EFBIG')
}

function tolerant(write: () => unknown): void {
  try {
    write()
  } catch (error) {
    if (!isUnwritable(error)) throw error
  }
}
