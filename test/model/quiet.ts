/** When nothing is struck any more: whether all is as it should be, and who gets in by now. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Callers } from './callers.ts'
import type { Driver } from './driver.ts'
import type { History, Lists } from './history.ts'
import { covers, groupsOf, sorted } from './model.ts'
import { replicas, type World } from './world.ts'

/** The server’s clock may have been set: its connectors know with the next beat. */
const lockedOutMs = 2_000

export class Quiet {
  readonly #history: History
  readonly #callers: Callers
  readonly #world: World
  readonly #driver: Driver
  readonly #tolerance: number

  constructor(
    parts: { history: History; callers: Callers; world: World; driver: Driver },
    tolerance: number,
  ) {
    this.#history = parts.history
    this.#callers = parts.callers
    this.#world = parts.world
    this.#driver = parts.driver
    this.#tolerance = tolerance
  }

  /** All is linked, and enforces all there is: then what there is is noted. */
  async isSettled(): Promise<boolean> {
    const { admin } = this.#driver
    await this.#driver.follow()
    const { number } = this.#driver.state
    const there = await admin.destinations.list()
    for (const { id, name, linked } of there) {
      if (linked !== replicas.filter((each) => each.destination === name).length) return false
      const receipt = await admin.destinations.receipt({ destination: id, revision: number })
      if (!receipt.enforced) return false
    }
    const lists = await this.#lists()
    await this.#driver.follow()
    if (this.#driver.state.number !== number) return false
    this.#history.add({ kind: 'settled', at: this.#history.now, number, lists })
    return true
  }

  async #lists(): Promise<Lists> {
    const { admin } = this.#driver
    const [users, groups, grants, keys, sessions, places] = [
      await admin.users.list(),
      await admin.groups.list(),
      await admin.grants.list(),
      await admin.keys.list(),
      await admin.sessions.list(),
      await admin.destinations.list(),
    ]
    return sorted({
      users: users.map(({ id, email, disabled }) => `${id} ${email} ${disabled}`),
      groups: groups.map(({ id, name, members }) => `${id} ${name} ${members.join(',')}`),
      grants: grants.map(
        ({ id, subject, destination, namespace, role }) =>
          `${id} ${subject.id} ${destination.id} ${namespace} ${role}`,
      ),
      keys: keys.flatMap(({ id, name, user }) => (user === null ? [] : [`${id} ${name} ${user}`])),
      sessions: sessions.map(({ id, user }) => `${id} ${user}`),
      destinations: places.map(({ id, name }) => `${id} ${name}`),
    })
  }

  /** What is open and covered no more ends; where it does not, the judge will say so. */
  async areCut(): Promise<void> {
    const isLeft = () => this.#callers.open.some((stream) => !covers(this.#driver.state, stream))
    const until = this.#history.now + 1_000 * this.#tolerance
    while (isLeft() && this.#history.now < until) await pause(20)
  }

  /** Everybody at every door: who has access until they are in, the others once. */
  async knocks(): Promise<void> {
    const pairs = [...this.#driver.credentials.values()].flatMap((credential) =>
      [...this.#world.connectors.values()].map(({ door }) => ({ credential, door })),
    )
    const until = this.#history.now + lockedOutMs * this.#tolerance
    const lane = async (): Promise<void> => {
      for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
        const { credential, door } = pair
        const { destination, connector } = door
        const { id: session, userId: user } = credential
        const isExpected = () => {
          const { state } = this.#driver
          return !state.ended.has(session) && groupsOf(state, { user, destination }).size > 0
        }
        let knocked = await this.#callers.knock(credential, door)
        while (!knocked.isIn && isExpected() && this.#history.now < until) {
          await pause(200)
          // What let them in may be over meanwhile.
          await this.#driver.follow().catch(() => {})
          knocked = await this.#callers.knock(credential, door)
        }
        const at = this.#history.now
        const who = { connector, destination, user, session }
        this.#history.add({ kind: 'knock', at, ...who, ...knocked })
      }
    }
    await Promise.all([lane(), lane(), lane(), lane()])
  }
}
