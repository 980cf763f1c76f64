/** Makes those whom a run is about, and whatever comes into their heads then. */
import type { Callers } from './callers.ts'
import type { Driver } from './driver.ts'
import { wish } from './plan.ts'
import type { Random } from './random.ts'
import { type Replica, replicas, type World } from './world.ts'

const first = { users: 6, groups: 3, grants: 12, keys: 8, logins: 2 }
const strictLeaseSeconds = 15
const mostStrictSeconds = 16

export class Making {
  readonly #callers: Callers
  readonly #world: World
  readonly #driver: Driver

  constructor(parts: { callers: Callers; world: World; driver: Driver }) {
    this.#callers = parts.callers
    this.#world = parts.world
    this.#driver = parts.driver
  }

  /** Of each kind some, in an order in which there is something to choose from. */
  async people(random: Random, read: () => Promise<void>): Promise<void> {
    const wanted: [string, number][] = [
      ['add user', first.users],
      ['add group', first.groups],
      ['add key', first.keys],
      ['log in', first.logins],
      ['join', first.users],
      ['grant', first.grants],
    ]
    for (const [what, count] of wanted) {
      await Promise.all(Array.from({ length: count }, () => this.#something(random, what)))
      await read()
    }
  }

  /** Something of this kind; what two think of at once is refused to one of them. */
  async #something(random: Random, what: string): Promise<void> {
    for (let tries = 0; tries < 1_000; tries += 1) {
      const next = wish(random, this.#driver.state, this.#bounds())
      if (next?.what === what) return void (await this.#driver.grantWish(next))
    }
  }

  async destination(name: string): Promise<void> {
    const { admin } = this.#driver
    const made = { id: '', accessKey: '' }
    await this.#driver.perform('add destination', {
      ...{ event: 'destination.created', about: [name] },
      act: async () => {
        const { id, accessKey, revision } = await admin.destinations.create({ name })
        Object.assign(made, { id, accessKey })
        return { revision, about: [id] }
      },
    })
    const edit = name === 'keeping' ? { onLeaseEnd: 'keep' as const } : {}
    if (name !== 'usual') {
      const words = { destination: made.id, leaseSeconds: strictLeaseSeconds, ...edit }
      await this.#driver.perform('edit lease', {
        ...{ event: 'destination.updated', about: [made.id] },
        act: () => admin.destinations.update(words),
      })
    }
    const { id: destination, accessKey } = made
    for (const replica of replicas.filter((each) => each.destination === name)) {
      await this.#place(replica, { destination, accessKey })
    }
  }

  async #place(replica: Replica, made: { destination: string; accessKey: string }): Promise<void> {
    const there = this.#world.connectors.get(replica.name)
    const connector = there ?? (await this.#world.addConnector(replica, made))
    if (there) {
      await there.kill()
      there.beside(made)
      this.#callers.leave(there.name)
    }
    connector.start()
    for (const credential of this.#driver.credentials.values()) {
      this.#callers.come(credential, connector.door)
    }
  }

  #bounds() {
    const leases = [...this.#driver.state.destinations.values()]
      .filter(({ name }) => name !== 'usual')
      .map(({ id }) => ({ destination: id, most: mostStrictSeconds }))
    return { leases, canLogIn: (email: string) => this.#driver.canLogIn(email) }
  }

  /** The first wish that there is anything of; null where its user is busy. */
  async change(random: Random) {
    for (let tries = 0; tries < 20; tries += 1) {
      const next = wish(random, this.#driver.state, this.#bounds())
      if (next) return this.#driver.grantWish(next)
    }
    return null
  }
}
