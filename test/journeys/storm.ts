/**
 * Many connectors as far as their server can tell: the product's own link, with its own pace,
 * a socket and a key each, and in place of a cluster one stream that a user has open.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HeldAccess } from '../../connector/access.ts'
import { systemClock } from '../../connector/clock.ts'
import { Enforcer } from '../../connector/link/enforcer.ts'
import { Link } from '../../connector/link/link.ts'
import { Streams } from '../../connector/streams.ts'
import { formatCredential, hashSecret, newCredential, newId } from '../../src/credential.ts'
import { openPglite } from '../../src/db/pglite.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { accessKeys, destinations, grants, users } from '../../src/db/schema.ts'
import { openSocket } from '../../src/wire/dial.ts'
import { secret, written } from '../secrets/record.ts'
import type { World } from './world.ts'

/**
 * Writes so many destinations with their keys, and a user with a grant at each, into the database of
 * a server that does not run: asked for one after the other, they would take minutes.
 */
export async function writeDestinations({ databaseUrl, dataDir }: World, count: number) {
  const store = await (databaseUrl
    ? openPostgres(databaseUrl)
    : openPglite(join(dataDir, 'pglite')))
  const createdAt = new Date()
  const user = { id: newId(), email: 'ana@example.com', createdAt }
  const made = Array.from({ length: count }, (_, n) => {
    const id = newId()
    const credential = newCredential()
    const key = { id: credential.id, name: `connector ${id}`, destinationId: id, createdAt }
    const accessKey = formatCredential(credential)
    secret('access key', accessKey)
    return {
      ...{ id, accessKey },
      destination: { id, name: `d${n}`, createdAt },
      key: { ...key, secretHash: hashSecret(credential.secret) },
      grant: { id: newId(), userId: user.id, destinationId: id, role: 'view', createdAt },
    }
  })
  try {
    await store.db.insert(users).values(user)
    await store.db.insert(destinations).values(made.map(({ destination }) => destination))
    await store.db.insert(accessKeys).values(made.map(({ key }) => key))
    await store.db.insert(grants).values(made.map(({ grant }) => grant))
  } finally {
    await store.close()
  }
  return { user, made: made.map(({ id, accessKey }) => ({ id, accessKey })) }
}

type Place = { url: string; caFile: string }

export class Simulated {
  readonly access = new HeldAccess(systemClock)
  readonly #streams = new Streams()
  readonly #link: Link
  /** When it dialled, by the clock of this process. */
  readonly dials: number[] = []
  severed = 0

  constructor({ url, caFile }: Place, accessKey: string) {
    const ca = readFileSync(caFile, 'utf8')
    const target = `${url.replace(/^http/, 'ws')}/api/link`
    const log = (level: string, message: string, facts?: Record<string, unknown>) =>
      written('connector log', 'simulated', JSON.stringify({ level, message, ...facts }))
    this.#link = new Link({
      open: () => {
        this.dials.push(performance.now())
        return openSocket(target, accessKey, ca)
      },
      hello: { instance: randomUUID(), version: 'storm', endpoint: null },
      access: this.access,
      enforcer: new Enforcer(this.access, this.#streams, log, systemClock),
      clock: systemClock,
      onAccess: () => {},
      log,
    })
  }

  get isLinked(): boolean {
    return this.#link.state === 'linked'
  }

  /** Somebody may be let in: linked or not, its lease runs. */
  get isAlive(): boolean {
    return this.access.lapse() === null
  }

  /** Holds a stream of this user's, if they are let in. */
  open(userId: string): boolean {
    const standing = this.access.standing(userId, 'storm')
    if (standing.kind !== 'stands') return false
    const { groups } = standing
    this.#streams.hold({ userId, sessionId: 'storm', groups, sever: () => (this.severed += 1) })
    return true
  }

  close(): Promise<void> {
    return this.#link.close()
  }
}
