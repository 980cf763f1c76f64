/**
 * Asks the server for changes, several at once, and keeps what it answered: acknowledged with the
 * number of the event, refused, or lost.
 */
import { Client, type Fetch } from '../../src/wire/client.ts'
import { Failure } from '../../src/wire/failure.ts'
import { secret } from '../secrets/record.ts'
import type { Credential } from './callers.ts'
import type { Happened, History, Of, Outcome } from './history.ts'
import { apply, copyOf, nothing, startSession, type State } from './model.ts'
import type { Wish } from './plan.ts'

type Op = Of<'op'>
type Made = { revision?: number; about?: string[] }
type Deed = { event: string; about: string[]; act: () => Promise<Made> }

export type Memory = {
  state: State
  passwords: Map<string, { password: string; isOneTime: boolean }>
}

export type DriverParts = {
  history: History
  url: string
  adminKey: string
  fetch: Fetch
  /** The server's time is this far from ours. */
  serverOffsetMs: () => number
  onCredential: (credential: Credential) => void
  onCredentialGone: (id: string) => void
}

export class Driver {
  readonly admin: Client
  /** What the events so far have made, and the sessions that were started. */
  state: State = nothing()
  readonly credentials = new Map<string, Credential>()
  readonly ops = new Map<string, number>()
  /** Every event as it was read, by its number: a restored copy tells the same of its past. */
  readonly told: string[] = []
  readonly #parts: DriverParts
  readonly #passwords: Memory['passwords'] = new Map()
  /** Those that were ever had: a restored copy may know them again. */
  readonly #ever = new Map<string, Credential>()
  /** Of each user one change at a time: a login and a disabling are in the order they were asked. */
  readonly #busy = new Set<string>()
  #newest = 0

  constructor(parts: DriverParts) {
    this.#parts = parts
    this.admin = this.#client(parts.adminKey)
  }

  canLogIn(email: string): boolean {
    return this.#passwords.has(email) && !this.#busy.has(email)
  }

  /** Reads the events that are new. */
  async follow(): Promise<void> {
    for (;;) {
      const after = this.state.number
      const events = await this.admin.events.list({ after, limit: 1000 })
      if (this.state.number !== after) return
      for (const event of events) this.#happened(event)
      if (events.length < 1000) return
    }
  }

  /** What is known now, for when the database should go back to it. */
  remember(): Memory {
    return { state: copyOf(this.state), passwords: new Map(this.#passwords) }
  }

  /** The database went back: whoever came since is gone, and whoever went is there again. */
  wentBack({ state, passwords }: Memory): void {
    this.state = copyOf(state)
    this.#newest = state.number
    this.#passwords.clear()
    for (const [email, known] of passwords) this.#passwords.set(email, known)
    for (const credential of this.#ever.values()) {
      const { id } = credential
      const isStanding = state.sessions.has(id) || state.keys.has(id)
      if (isStanding === this.credentials.has(id)) continue
      if (isStanding) this.#came(credential)
      else this.#gone(id)
    }
  }

  token = async (credential: Credential, destination: string) => {
    try {
      const { token } = await this.#client(credential.text).me.createToken({ destination })
      secret('token', token)
      return { token }
    } catch (error) {
      return error instanceof Failure ? error.code : String(error)
    }
  }

  /** Does it, unless its user is busy; null then. */
  async grantWish(wish: Wish): Promise<Op | null> {
    const email = 'email' in wish ? wish.email : null
    if (email !== null && this.#busy.has(email)) return null
    if (email !== null) this.#busy.add(email)
    try {
      return await this.perform(wish.what, this.#deedOf(wish))
    } finally {
      if (email !== null) this.#busy.delete(email)
    }
  }

  async perform(what: string, { event, about, act }: Deed): Promise<Op> {
    const at = this.#parts.history.now
    const note = (outcome: Outcome, made: Made, why: string | null): Op => {
      const endedAt = this.#parts.history.now
      const number = made.revision ?? null
      if (number !== null) this.#newest = Math.max(this.#newest, number)
      const told = { event, about: [...about, ...(made.about ?? [])], why }
      const op: Op = { kind: 'op', at, endedAt, what, outcome, number, ...told }
      this.#parts.history.add(op)
      this.ops.set(`${what} ${outcome}`, (this.ops.get(`${what} ${outcome}`) ?? 0) + 1)
      return op
    }
    try {
      return note('acknowledged', await act(), null)
    } catch (error) {
      // Only a word about the request says that nothing was changed.
      const isRefused = error instanceof Failure && error.code !== 'unavailable'
      const why = error instanceof Error ? error.message : String(error)
      return note(isRefused ? 'refused' : 'lost', {}, why)
    }
  }

  #happened(event: Happened): void {
    apply(this.state, event)
    this.told[event.number] = JSON.stringify(event)
    this.#parts.history.add({ kind: 'event', at: this.#parts.history.now, event })
    for (const id of this.credentials.keys()) {
      const isStanding = this.state.sessions.has(id) || this.state.keys.has(id)
      // Made a moment ago, and its event not read yet: it is not in the state, and not over either.
      if (isStanding || !this.state.ended.has(id)) continue
      this.#gone(id)
    }
  }

  #gone(id: string): void {
    this.credentials.delete(id)
    this.#parts.onCredentialGone(id)
  }

  #client(credential: string | null): Client {
    const { url, fetch } = this.#parts
    return new Client(url, credential, fetch)
  }

  #deedOf(wish: Wish): Deed {
    const { admin } = this
    switch (wish.what) {
      case 'grant':
      case 'grant for a moment':
        return this.#grant(wish)
      case 'revoke':
        return deed('grant.revoked', [wish.grant], () => admin.grants.revoke(wish.grant))
      case 'join':
        return deed('group.member_added', [wish.group, wish.user], () =>
          admin.groups.addUser(wish.group, wish.user),
        )
      case 'leave':
        return deed('group.member_removed', [wish.group, wish.user], () =>
          admin.groups.removeUser(wish.group, wish.user),
        )
      case 'add group':
        return deed('group.created', [wish.name], () => admin.groups.create({ name: wish.name }))
      case 'remove group':
        return deed('group.deleted', [wish.group], () => admin.groups.delete(wish.group))
      case 'add user':
        return deed('user.created', [wish.email], () => this.#addUser(wish.email))
      case 'remove user':
        return deed('user.deleted', [wish.user], () => admin.users.delete(wish.user))
      case 'disable':
      case 'enable': {
        const disabled = wish.what === 'disable'
        return deed(`user.${wish.what}d`, [wish.user], () =>
          admin.users.update({ user: wish.user, disabled }),
        )
      }
      case 'log in':
        return this.#login(wish)
      case 'log out': {
        const credential = this.credentials.get(wish.session)
        return deed('session.ended', [wish.session], async () => {
          await this.#client(credential?.text ?? null).me.logout()
          return {}
        })
      }
      case 'end session':
        return deed('session.ended', [wish.session], () => admin.sessions.end(wish.session))
      case 'add key':
        return deed('key.created', [wish.name], () => this.#addKey(wish))
      case 'remove key':
        return deed('key.revoked', [wish.key], () => admin.keys.revoke(wish.key))
      case 'edit lease': {
        const { destination, leaseSeconds } = wish
        return deed('destination.updated', [destination], () =>
          admin.destinations.update({ destination, leaseSeconds }),
        )
      }
    }
  }

  #grant(wish: Extract<Wish, { subject: unknown }>): Deed {
    const { subject, destination } = wish
    const isBrief = wish.what === 'grant for a moment'
    const { role, namespace } = isBrief ? { role: 'view', namespace: null } : wish
    const endsAt = Date.now() + this.#parts.serverOffsetMs() + (isBrief ? wish.forMs : 0)
    const expiresAt = isBrief ? new Date(endsAt).toISOString() : null
    const about = [Object.values(subject).join(), destination, role]
    return deed('grant.created', about, async () => {
      const words = { ...subject, destination, role, namespace, expiresAt }
      const { id, revision } = await this.admin.grants.create(words)
      return { revision, about: [id] }
    })
  }

  async #addUser(email: string): Promise<Made> {
    const { id, password, revision } = await this.admin.users.create({ email })
    secret('password', password)
    this.#passwords.set(email, { password, isOneTime: true })
    return { revision, about: [id] }
  }

  #login({ email, user }: { email: string; user: string }): Deed {
    const known = this.#passwords.get(email)
    const after = Math.max(this.#newest, this.state.number)
    const event = known?.isOneTime ? 'user.password_changed' : ''
    return deed(event, known?.isOneTime ? [user] : [email], async () => {
      const password = known?.password ?? ''
      const words = known?.isOneTime ? { newPassword: `new ${password}` } : {}
      // Whether a lost login has changed it, nobody knows.
      this.#passwords.delete(email)
      const started = await this.admin.login.password({ email, password, ...words })
      secret('session', started.credential)
      secret('password', words.newPassword)
      const next = { password: words.newPassword ?? password, isOneTime: false }
      this.#passwords.set(email, next)
      const at = this.#parts.history.now
      this.#parts.history.add({ kind: 'session', at, id: started.session, userId: user, after })
      startSession(this.state, started.session, user, after)
      this.#came({ id: started.session, userId: user, email, text: started.credential })
      return {}
    })
  }

  async #addKey({ user, email, name }: { user: string; email: string; name: string }) {
    const { id, accessKey, revision } = await this.admin.keys.create({ name, user })
    secret('access key', accessKey)
    this.#came({ id, userId: user, email, text: accessKey })
    return { revision, about: [id] }
  }

  #came(credential: Credential): void {
    this.#ever.set(credential.id, credential)
    this.credentials.set(credential.id, credential)
    this.#parts.onCredential(credential)
  }
}

function deed(event: string, about: string[], act: () => Promise<Made>): Deed {
  return { event, about, act }
}
