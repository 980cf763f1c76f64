/** The far ends of links, for tests of the hub: fake connectors, and a database that takes its time. */
import type { World } from '../../test/world.ts'
import { parseCredential } from '../credential.ts'
import type { Hub } from './hub.ts'
import type { Access, Delta } from '../wire/access.ts'
import type { CreatedDestination } from '../wire/destinations.ts'
import { type Beat, type FromConnector, FromServer } from '../wire/link.ts'

/** A connector's end of a link: what it was sent, in order, and a way to wait for more. */
export class FarEnd {
  readonly sent: FromServer[] = []
  closed: number | null = null
  backlog = 0
  readonly #link: ReturnType<Hub['attach']>
  readonly #waiting = new Set<() => void>()
  #ping = 0

  constructor(hub: Hub, { id, name, accessKey }: CreatedDestination) {
    const keyId = parseCredential(accessKey)?.id ?? ''
    const actor = { kind: 'connector', destinationId: id, destinationName: name, keyId } as const
    this.#link = hub.attach(actor, {
      send: (text) => {
        this.sent.push(FromServer.parse(JSON.parse(text)))
        this.#wake()
      },
      close: (code) => {
        this.closed = code
        this.#wake()
      },
      backlog: () => this.backlog,
    })
  }

  say(message: FromConnector): void {
    this.#link.receive(JSON.stringify(message))
  }

  hello(instance = 'one', endpoint: string | null = null): void {
    const known = { epoch: null, revision: null }
    this.say({ kind: 'hello', instance, version: '1', ...known, endpoint })
  }

  ack(access: Access, severed = 0, severedInAll?: number): void {
    const { epoch, revision } = access
    const inAll = severedInAll === undefined ? {} : { severedInAll }
    this.say({ kind: 'ack', epoch, revision, severed, ...inAll })
  }

  /** Pings, and waits for the beat: by then all that was committed before has been dealt with. */
  async beat(): Promise<Beat> {
    const id = ++this.#ping
    this.say({ kind: 'ping', id })
    return this.when(() => this.beats.find((beat) => beat.id === id))
  }

  get beats(): Beat[] {
    return this.sent.flatMap((message) => (message.kind === 'beat' ? [message] : []))
  }

  /** All that it has held, one after the other. */
  get access(): Access[] {
    const held: Access[] = []
    for (const message of this.sent) {
      if (message.kind === 'access') held.push(message.access)
      if (message.kind === 'delta') held.push(after(held.at(-1), message.delta))
    }
    return held
  }

  get deltas(): Delta[] {
    return this.sent.flatMap((message) => (message.kind === 'delta' ? [message.delta] : []))
  }

  detach(code?: number): void {
    this.#link.detach(code)
  }

  raw(text: string): void {
    this.#link.receive(text)
  }

  when<T>(found: () => T | undefined | false | null): Promise<T> {
    return new Promise((resolve) => {
      const look = (): void => {
        const value = found()
        if (!value) return
        this.#waiting.delete(look)
        resolve(value)
      }
      this.#waiting.add(look)
      look()
    })
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }
}

/** What a delta makes of Access, in the plainest way. */
export function after(access: Access | undefined, delta: Delta): Access {
  if (access?.revision !== delta.since) throw new Error('a delta of what was never sent')
  const changed = new Set(delta.subjects.map(({ id }) => id))
  const { revision, users, groups, grants } = delta
  const isKept = ({ id }: { id: string }) => !changed.has(id)
  return {
    ...access,
    revision,
    users: [...access.users.filter(isKept), ...users],
    groups: [...access.groups.filter(isKept), ...groups],
    grants: [...access.grants.filter(({ subject }) => isKept(subject)), ...grants],
  }
}

export async function linked(
  w: World,
  name: string,
  hub = w.hub,
): Promise<FarEnd & { at: CreatedDestination }> {
  const at = await w.client.destinations.create({ name })
  const far = new FarEnd(hub, at)
  far.hello()
  await far.when(() => far.access.length > 0)
  await far.beat()
  return Object.assign(far, { at })
}

/** A store whose reads of Access are held back, after they were read, until they are let go. */
export function holdingBack(store: World['store']) {
  let hold: Promise<void> | null = null
  let letGo = (): void => {}
  let tell = (): void => {}
  let reads = 0
  let looks = 0
  let failures = 0
  const db = new Proxy(store.db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'transaction') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<typeof target.transaction>) => {
        const result = await target.transaction(...args).catch((error: unknown) => {
          failures += 1
          throw error
        })
        if (args[1]?.accessMode !== 'read only') looks += 1
        else {
          reads += 1
          tell()
          await hold
        }
        return result
      }
    },
  })
  return {
    store: { ...store, db },
    reads: () => reads,
    /** Transactions of the hub's that read no Access. */
    looks: () => looks,
    /** Transactions that came to nothing. */
    failures: () => failures,
    holdNext: (): Promise<void> => {
      hold = new Promise((resolve) => (letGo = resolve))
      return new Promise((resolve) => (tell = resolve))
    },
    letGo: (): void => {
      hold = null
      letGo()
    },
  }
}
