/**
 * Who is logged in where: one file, for its owner only. A server's own CA stays known after a
 * logout, as a host's key does for ssh: confirming it again and again would teach people to say yes.
 *
 * Access keys from the environment never come here (security.md K5).
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { Failure } from '../src/wire/failure.ts'
import { Id } from '../src/wire/names.ts'
import { Credential } from './credential.ts'
import { readIfThere, replaceFile } from './disk/files.ts'
import { isPrivate } from './disk/private.ts'
import { jsonOf } from './disk/unknown.ts'
import { hinted } from './hint.ts'
import { locked } from './lock.ts'

export const StoredSession = z.object({
  // It becomes an argument in kubeconfigs, and must not be read as a flag there.
  id: Id.refine((id) => !id.startsWith('-'), 'must not begin with a hyphen'),
  credential: Credential,
  user: z.object({ id: Id, email: z.string() }),
  expiresAt: z.string(),
})
export type StoredSession = z.infer<typeof StoredSession>

const KnownServer = z.object({
  /** PEM of the server's own CA; null: the system's CAs vouch for it. */
  ca: z.string().nullable(),
  session: StoredSession.nullable(),
})
export type KnownServer = z.infer<typeof KnownServer>

const Sessions = z.object({
  /** The URL of the server that commands speak to where none is named. */
  current: z.string().nullable(),
  servers: z.record(z.string(), KnownServer),
})
export type Sessions = z.infer<typeof Sessions>

const lockWaitMs = 10_000

/** @throws {Failure} `invalid` when the file is there and is not ours to read, or not ours alone. */
export function readSessions(folder: string): Sessions {
  const path = join(folder, 'sessions.json')
  const text = readIfThere(path)
  if (text === null) return { current: null, servers: {} }
  // Mending the mode would hide that the credentials in it may have been read, or put there.
  if (!isPrivate(statSync(path))) {
    throw hinted(
      new Failure('invalid', `${path} is not yours alone: other users can read it, or wrote it`),
      `remove ${path} and log in again; or chmod 600 ${path}, where nobody else uses this machine`,
    )
  }
  const read = Sessions.safeParse(jsonOf(text))
  if (read.success) return read.data
  throw hinted(
    new Failure('invalid', `${path} does not hold sessions as this version writes them`),
    `remove ${path} and log in again`,
  )
}

/** Changes the file under its lock, so that two logins at once both stay. */
export async function changeSessions(
  folder: string,
  change: (sessions: Sessions) => Sessions,
): Promise<void> {
  await locked(join(folder, 'sessions.lock'), lockWaitMs, () => {
    const next = change(readSessions(folder))
    replaceFile(join(folder, 'sessions.json'), `${JSON.stringify(next, null, 2)}\n`)
  })
}

/** What is known of one server, or null. `Object.hasOwn`: a URL is no name of a prototype's. */
export function knownServer({ servers }: Sessions, server: string): KnownServer | null {
  return Object.hasOwn(servers, server) ? (servers[server] ?? null) : null
}
