/**
 * What is done next, by chance: a change that somebody might ask for, made of what is there. Values
 * alone; `driver.ts` asks the server for it.
 */
import type { State } from './model.ts'
import type { Random } from './random.ts'

export type Wish =
  | { what: 'grant'; subject: Subject; destination: string; role: string; namespace: string | null }
  | { what: 'grant for a moment'; subject: Subject; destination: string; forMs: number }
  | { what: 'revoke'; grant: string }
  | { what: 'join' | 'leave'; group: string; user: string; email: string }
  | { what: 'add group'; name: string }
  | { what: 'remove group'; group: string }
  | { what: 'add user'; email: string }
  | { what: 'remove user' | 'disable' | 'enable'; user: string; email: string }
  | { what: 'log in'; user: string; email: string }
  | { what: 'log out' | 'end session'; session: string; user: string; email: string }
  | { what: 'add key'; user: string; email: string; name: string }
  | { what: 'remove key'; key: string; email: string }
  | { what: 'edit lease'; destination: string; leaseSeconds: number }
export type Subject = { user: string } | { group: string }

const emails = Array.from({ length: 12 }, (_, index) => `user${index + 1}@example.com`)
const groupNames = ['ops', 'dev', 'web', 'data']
const roles = ['view', 'edit']
/** What is more often asked for is what takes away: that is what a run is about. */
const weights = {
  grant: 18,
  'grant for a moment': 8,
  revoke: 20,
  join: 12,
  leave: 10,
  'add group': 4,
  'remove group': 2,
  'add user': 6,
  'remove user': 2,
  disable: 4,
  enable: 8,
  'log in': 4,
  'log out': 3,
  'end session': 8,
  'add key': 10,
  'remove key': 10,
  'edit lease': 2,
}
const mostKeys = 2
const mostSessions = 2

export type Bounds = {
  /** Leases that may be edited, and what they may become. */
  leases: { destination: string; most: number }[]
  /** Whose logging in works: the password is known. */
  canLogIn(email: string): boolean
}

/** Something that can be wished for now; null: this time there is nothing of that kind. */
export function wish(random: Random, state: State, bounds: Bounds): Wish | null {
  return makers[random.weighed(weights)](random, state, bounds)
}

type Maker = (random: Random, state: State, bounds: Bounds) => Wish | null

const makers: Record<keyof typeof weights, Maker> = {
  grant: (random, state) => {
    const subject = subjectOf(random, state)
    const destination = random.pick(state.destinations.keys())
    const role = random.pick(roles) ?? 'view'
    const namespace = random.isLucky(0.3) ? 'web' : null
    return subject && destination ? { what: 'grant', subject, destination, role, namespace } : null
  },
  'grant for a moment': (random, state) => {
    const subject = subjectOf(random, state)
    const destination = random.pick(state.destinations.keys())
    const forMs = random.between(1_500, 7_000)
    return subject && destination
      ? { what: 'grant for a moment', subject, destination, forMs }
      : null
  },
  revoke: (random, state) => {
    const grant = random.pick(state.grants.keys())
    return grant === undefined ? null : { what: 'revoke', grant }
  },
  join: (random, state) => {
    const pair = pairOf(random, state)
    return pair && !state.members.has(`${pair.group} ${pair.user}`)
      ? { what: 'join', ...pair }
      : null
  },
  leave: (random, state) => {
    const [group = '', user = ''] = random.pick(state.members)?.split(' ') ?? []
    const email = state.users.get(user)?.email
    return email === undefined ? null : { what: 'leave', group, user, email }
  },
  'add group': (random, state) => {
    const there = new Set([...state.groups.values()].map(({ name }) => name))
    const name = random.pick(groupNames.filter((each) => !there.has(each)))
    return name === undefined ? null : { what: 'add group', name }
  },
  'remove group': (random, state) => {
    const group = random.pick(state.groups.keys())
    return group === undefined ? null : { what: 'remove group', group }
  },
  'add user': (random, state) => {
    const there = new Set(people(state).map(({ email }) => email))
    const email = random.pick(emails.filter((each) => !there.has(each)))
    return email === undefined ? null : { what: 'add user', email }
  },
  'remove user': (random, state) => {
    const user = random.pick(people(state))
    return user ? { what: 'remove user', user: user.id, email: user.email } : null
  },
  disable: (random, state) => {
    const user = random.pick(people(state).filter(({ isDisabled }) => !isDisabled))
    return user ? { what: 'disable', user: user.id, email: user.email } : null
  },
  enable: (random, state) => {
    const user = random.pick(people(state).filter(({ isDisabled }) => isDisabled))
    return user ? { what: 'enable', user: user.id, email: user.email } : null
  },
  'log in': (random, state, { canLogIn }) => {
    const user = random.pick(
      people(state).filter(({ id, email, isDisabled }) => {
        const own = [...state.sessions.values()].filter(({ userId }) => userId === id)
        return !isDisabled && own.length < mostSessions && canLogIn(email)
      }),
    )
    return user ? { what: 'log in', user: user.id, email: user.email } : null
  },
  'log out': (random, state) => {
    const session = sessionOf(random, state)
    return session && { what: 'log out', ...session }
  },
  'end session': (random, state) => {
    const session = sessionOf(random, state)
    return session && { what: 'end session', ...session }
  },
  'add key': (random, state) => {
    const keys = [...state.keys.values()]
    const user = random.pick(
      people(state).filter(
        ({ email }) => keys.filter(({ owner }) => owner === email).length < mostKeys,
      ),
    )
    const name = `key-${random.between(0, 1e9).toString(36)}`
    return user ? { what: 'add key', user: user.id, email: user.email, name } : null
  },
  'remove key': (random, state) => {
    const key = random.pick([...state.keys.values()].filter(({ owner }) => emails.includes(owner)))
    return key ? { what: 'remove key', key: key.id, email: key.owner } : null
  },
  'edit lease': (random, _, { leases }) => {
    const lease = random.pick(leases)
    if (!lease) return null
    const leaseSeconds = random.between(15, lease.most)
    return { what: 'edit lease', destination: lease.destination, leaseSeconds }
  },
}

function people(state: State) {
  return [...state.users.values()].filter(({ email }) => emails.includes(email))
}

function subjectOf(random: Random, state: State): Subject | null {
  if (random.isLucky(0.4)) {
    const group = random.pick(state.groups.keys())
    return group === undefined ? null : { group }
  }
  const user = random.pick(people(state))
  return user ? { user: user.id } : null
}

function pairOf(random: Random, state: State) {
  const group = random.pick(state.groups.keys())
  const user = random.pick(people(state))
  return group !== undefined && user ? { group, user: user.id, email: user.email } : null
}

function sessionOf(random: Random, state: State) {
  const session = random.pick(state.sessions.values())
  const email = session && state.users.get(session.userId)?.email
  if (email === undefined) return null
  return { session: session?.id ?? '', user: session?.userId ?? '', email }
}
