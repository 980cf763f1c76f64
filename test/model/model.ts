/**
 * The model: who may have what, in plain values. It is made of events and started sessions alone,
 * and its rules are written here anew: none of the product's are asked.
 */
import type { Happened, Lists } from './history.ts'

export type Grant = {
  id: string
  subject: { kind: string; id: string }
  destination: string
  namespace: string | null
  role: string
  expiresAt: number | null
}

export type Destination = {
  id: string
  name: string
  /** Null: as the server's settings say. */
  leaseSeconds: number | null
  keepsStreams: boolean
}

export type State = {
  number: number
  users: Map<string, { id: string; email: string; isDisabled: boolean }>
  groups: Map<string, { id: string; name: string }>
  /** `group user`. */
  members: Set<string>
  grants: Map<string, Grant>
  destinations: Map<string, Destination>
  /** Of users; a connector's are named after their destination. */
  keys: Map<string, { id: string; name: string; owner: string }>
  sessions: Map<string, { id: string; userId: string; after: number }>
  /** Sessions and keys that are over. */
  ended: Set<string>
}

/** Who came in, where, and with what. */
export type Covered = { destination: string; user: string; session: string; groups: string[] }

export function nothing(): State {
  return {
    number: 0,
    users: new Map(),
    groups: new Map(),
    members: new Set(),
    grants: new Map(),
    destinations: new Map(),
    keys: new Map(),
    sessions: new Map(),
    ended: new Set(),
  }
}

export function copyOf(state: State): State {
  return structuredClone(state)
}

/** No event tells of a session's start. `after`: every event up to this was before it. */
export function startSession(state: State, id: string, userId: string, after: number): void {
  state.sessions.set(id, { id, userId, after })
}

/** What `event` makes of `state`, which it changes. */
export function apply(state: State, { number, kind, detail }: Happened): void {
  state.number = number
  const part = (name: string) => (detail[name] ?? {}) as Record<string, string | null>
  const id = (name: string) => String(part(name)['id'])
  if (kind === 'user.created') {
    state.users.set(id('user'), {
      id: id('user'),
      email: String(part('user')['email']),
      isDisabled: false,
    })
  } else if (kind === 'user.deleted') removeUser(state, id('user'))
  else if (kind === 'user.disabled') disable(state, id('user'), number)
  else if (kind === 'user.enabled') {
    const user = state.users.get(id('user'))
    if (user) user.isDisabled = false
  } else if (kind === 'group.created') {
    state.groups.set(id('group'), { id: id('group'), name: String(part('group')['name']) })
  } else if (kind === 'group.deleted') removeGroup(state, id('group'))
  else if (kind === 'group.member_added') state.members.add(`${id('group')} ${id('user')}`)
  else if (kind === 'group.member_removed') state.members.delete(`${id('group')} ${id('user')}`)
  else if (kind === 'grant.created') addGrant(state, detail['grant'])
  else if (kind === 'grant.revoked' || kind === 'grant.expired') state.grants.delete(id('grant'))
  else if (kind === 'key.created') {
    const owner = String(detail['for'])
    state.keys.set(id('key'), { id: id('key'), name: String(part('key')['name']), owner })
  } else if (kind === 'key.revoked' || kind === 'key.expired') endKey(state, id('key'))
  else if (kind === 'session.ended' || kind === 'session.expired') {
    state.sessions.delete(String(detail['session']))
    state.ended.add(String(detail['session']))
  } else if (kind === 'destination.created') {
    const name = String(part('destination')['name'])
    const made = { id: id('destination'), name, leaseSeconds: null, keepsStreams: false }
    state.destinations.set(made.id, made)
  } else if (kind === 'destination.updated') editDestination(state, id('destination'), detail)
  else if (kind === 'destination.deleted') removeDestination(state, id('destination'))
}

/** What somebody is impersonated with at a destination; nobody is let in with nothing. */
export function groupsOf(
  state: State,
  { user, destination }: Pick<Covered, 'user' | 'destination'>,
  isOver: (grant: Grant) => boolean = () => false,
): Set<string> {
  const found = new Set<string>()
  const person = state.users.get(user)
  if (!person || person.isDisabled || !state.destinations.has(destination)) return found
  for (const grant of state.grants.values()) {
    if (grant.destination !== destination || isOver(grant)) continue
    const { kind, id } = grant.subject
    const isMine = kind === 'user' ? id === user : state.members.has(`${id} ${user}`)
    if (!isMine) continue
    const { namespace, role } = grant
    found.add(namespace === null ? `infra:role:${role}` : `infra:namespace:${namespace}:${role}`)
    if (kind === 'group') found.add(`infra:group:${state.groups.get(id)?.name}`)
  }
  return found
}

/** Whether all that a stream came in with still stands. */
export function covers(
  state: State,
  stream: Covered,
  isOver: (grant: Grant) => boolean = () => false,
): boolean {
  if (state.ended.has(stream.session)) return false
  const standing = groupsOf(state, stream, isOver)
  return stream.groups.length > 0 && stream.groups.every((group) => standing.has(group))
}

/** What the server's lists would say. */
export function listsOf(state: State): Lists {
  const email = (id: string) => state.users.get(id)?.email ?? id
  const members = [...state.members].map((each) => each.split(' '))
  return sorted({
    users: [...state.users.values()].map((user) => `${user.id} ${user.email} ${user.isDisabled}`),
    groups: [...state.groups.values()].map(({ id, name }) => {
      const own = members.flatMap(([group, user = '']) => (group === id ? [email(user)] : []))
      return `${id} ${name} ${own.toSorted().join(',')}`
    }),
    grants: [...state.grants.values()].map(
      ({ id, subject, destination, namespace, role }) =>
        `${id} ${subject.id} ${destination} ${namespace} ${role}`,
    ),
    keys: [...state.keys.values()].map(({ id, name, owner }) => `${id} ${name} ${owner}`),
    sessions: [...state.sessions.values()].map(({ id, userId }) => `${id} ${email(userId)}`),
    destinations: [...state.destinations.values()].map(({ id, name }) => `${id} ${name}`),
  })
}

export function sorted(lists: Lists): Lists {
  const inOrder = Object.entries(lists).map(([name, words]) => [name, words.toSorted()])
  return Object.fromEntries(inOrder) as Lists
}

function addGrant(state: State, grant: unknown): void {
  const { id, subject, destination, namespace, role, expiresAt } = grant as {
    id: string
    subject: Grant['subject']
    destination: { id: string }
    namespace: string | null
    role: string
    expiresAt: string | null
  }
  const ends = expiresAt === null ? null : Date.parse(expiresAt)
  const { kind, id: subjectId } = subject
  const made = { id, subject: { kind, id: subjectId }, destination: destination.id }
  state.grants.set(id, { ...made, namespace, role, expiresAt: ends })
}

function removeUser(state: State, user: string): void {
  const email = state.users.get(user)?.email
  state.users.delete(user)
  for (const each of state.members) if (each.endsWith(` ${user}`)) state.members.delete(each)
  for (const grant of state.grants.values()) {
    if (grant.subject.id === user) state.grants.delete(grant.id)
  }
  for (const key of state.keys.values()) if (key.owner === email) endKey(state, key.id)
  endSessionsOf(state, user, Infinity)
}

function disable(state: State, id: string, number: number): void {
  const user = state.users.get(id)
  if (user) user.isDisabled = true
  endSessionsOf(state, id, number)
}

function endSessionsOf(state: State, userId: string, number: number): void {
  for (const session of state.sessions.values()) {
    if (session.userId !== userId || session.after >= number) continue
    state.sessions.delete(session.id)
    state.ended.add(session.id)
  }
}

function removeGroup(state: State, group: string): void {
  state.groups.delete(group)
  for (const each of state.members) if (each.startsWith(`${group} `)) state.members.delete(each)
  for (const grant of state.grants.values()) {
    if (grant.subject.id === group) state.grants.delete(grant.id)
  }
}

function editDestination(state: State, id: string, detail: Record<string, unknown>): void {
  const destination = state.destinations.get(id)
  if (!destination) return
  const { leaseSeconds, onLeaseEnd } = detail
  if (typeof leaseSeconds === 'number') destination.leaseSeconds = leaseSeconds
  if (typeof onLeaseEnd === 'string') destination.keepsStreams = onLeaseEnd === 'keep'
}

function removeDestination(state: State, destination: string): void {
  state.destinations.delete(destination)
  for (const grant of state.grants.values()) {
    if (grant.destination === destination) state.grants.delete(grant.id)
  }
}

function endKey(state: State, key: string): void {
  state.keys.delete(key)
  state.ended.add(key)
}
