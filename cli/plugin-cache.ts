/**
 * Tokens that the credential plugin keeps between two kubectl: a 0600 file for each session and
 * destination. Imports nothing heavy: `main.ts` answers kubectl from here, before it loads the
 * rest. `node:crypto` alone would cost as much as all that is done here (bench/README.md), so names
 * are written out instead of hashed, and randomness is the global one.
 *
 * A token that a connector refused is never handed out again. client-go does not say that it asks
 * because of a 401, but it asks a second time within one process only then: so each hand-out leaves
 * a mark named after the token and the parent process, and whoever finds its own mark there knows.
 * Creating the mark is what decides, so that no lock is needed to hand out.
 */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { isPrivate } from './disk/private.ts'
import { fieldOf, jsonOf } from './disk/unknown.ts'

export type TokenKey = { server: string; session: string; destination: string }
export type KeptToken = TokenKey & {
  token: string
  expiresAt: string
  storedAt: string
  /** Until when it is handed out without asking the server. */
  usableUntil: string
  /** Made with it, and named in its marks in place of the secret. */
  generation: string
}
/** The process that asked for a token: kubectl. */
export type Parent = { pid: number; started: string }

const leastLifeMs = 30_000

/** A file's name may have 255 bytes, and a mark adds some. */
const maxName = 160

/**
 * Every file of a cached token begins with this path. Nothing of the key leads out of the folder,
 * and no dot is in the name: marks begin with one. Two servers may share a file, as may names that
 * are cut off: whose token it is, the file itself says.
 */
export function tokenFile(
  folder: string,
  { session, destination }: Omit<TokenKey, 'server'>,
): string {
  const [first, second] = [session, destination].map((part) =>
    encodeURIComponent(part).replaceAll('.', '%2E'),
  )
  return join(folder, 'tokens', `${first}+${second}`.slice(0, maxName))
}

/** The token of this key kept at `file`, or null where there is none, or none that can be read. */
export function keptToken(
  file: string,
  { server, session, destination }: TokenKey,
): KeptToken | null {
  const kept = readKept(file)
  const isOurs =
    kept?.server === server && kept.session === session && kept.destination === destination
  return isOurs ? kept : null
}

/** One that others can have read, or put there, is none; a pipe in its place is not waited for. */
function readKept(file: string): KeptToken | null {
  try {
    const about = lstatSync(file)
    if (!about.isFile() || !isPrivate(about)) return null
    const kept = jsonOf(readFileSync(file, 'utf8'))
    return isKept(kept) ? kept : null
  } catch {
    return null
  }
}

function isKept(kept: unknown): kept is KeptToken {
  const fields = [
    'server',
    'session',
    'destination',
    'token',
    'expiresAt',
    'storedAt',
    'usableUntil',
    'generation',
  ]
  return fields.every((field) => typeof fieldOf(kept, field) === 'string')
}

/** Whether enough of its life is left. A clock that ran backwards since makes it doubtful. */
export function isFresh(kept: KeptToken, now: number): boolean {
  return Date.parse(kept.storedAt) <= now && now < Date.parse(kept.usableUntil)
}

/**
 * Records that `parent` is handed this token. False: it had been handed it before, so the connector
 * has refused it.
 *
 * Where the parent's start is unknown its number alone decides: one that is given again costs a
 * question to the server, and never a refused token.
 */
export function markHandedOut(file: string, { generation }: KeptToken, parent: Parent): boolean {
  try {
    closeSync(openSync(`${file}.${generation}.${parent.pid}-${parent.started}`, 'wx', 0o600))
    return true
  } catch {
    return false
  }
}

/** Keeps a token, in place of the one before it and of that one's marks. */
export function keepToken(
  file: string,
  key: TokenKey,
  token: string,
  expiresAt: string,
  now: number,
): KeptToken {
  const lifeMs = Date.parse(expiresAt) - now
  // A token that lives less than a minute and a half would otherwise be kept for nothing.
  const usableMs = lifeMs - Math.min(leastLifeMs, lifeMs / 3)
  const kept = {
    ...key,
    token,
    expiresAt,
    storedAt: new Date(now).toISOString(),
    usableUntil: new Date(now + usableMs).toISOString(),
    generation: crypto.randomUUID(),
  }
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${kept.generation}.tmp`
  try {
    writeFileSync(temporary, JSON.stringify(kept), { mode: 0o600, flag: 'wx' })
    renameSync(temporary, file)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  removeMarks(file, kept.generation)
  return kept
}

/** Forgets a token that must never be handed out again. */
export function dropToken(file: string): void {
  rmSync(file, { force: true })
  removeMarks(file, '')
}

/** Forgets every token that `isMeant` says yes to: at login, logout and a change of user. */
export function eraseTokens(folder: string, isMeant: (kept: KeptToken) => boolean): void {
  const tokens = join(folder, 'tokens')
  for (const name of namesIn(tokens).filter((entry) => !entry.includes('.'))) {
    const file = join(tokens, name)
    const kept = readKept(file)
    // What cannot be read names nobody, and is good for nothing.
    if (kept && !isMeant(kept)) continue
    dropToken(file)
  }
}

/** What kubectl reads: an ExecCredential of client.authentication.k8s.io/v1. */
export function execCredential({
  token,
  expiresAt,
}: Pick<KeptToken, 'token' | 'expiresAt'>): string {
  return `${JSON.stringify({
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { expirationTimestamp: expiresAt, token },
  })}\n`
}

function removeMarks(file: string, except: string): void {
  const folder = join(file, '..')
  const own = file.slice(folder.length + 1)
  for (const name of namesIn(folder)) {
    const [key, mark, last] = name.split('.')
    if (key !== own || mark === undefined || mark === 'lock' || mark === except || last === 'tmp')
      continue
    rmSync(join(folder, name), { force: true })
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
