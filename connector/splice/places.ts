/**
 * Places at the door, one for each connection.
 *
 * A place is safe while a request is open on it. Any other is held only as long as nobody needs it:
 * when there is none left, the newcomer gets one of these, a stranger's before that of somebody who
 * was let in once. So strangers never lock anybody out by holding places, however patient they are.
 *
 * There is no limit for an address, because a whole cluster may come from one (a balancer, a NAT).
 * What an address, or a user, has many of is what it loses first: whoever floods pushes out their
 * own connections, and whoever comes from elsewhere has the time that a handshake takes.
 */
import { isIPv6 } from 'node:net'
import { Sample, type Log } from '../status.ts'
import type { Limits } from './limits.ts'

/** Why a connection was closed that carried no request; the closed list that metrics use. */
export const closings = ['full', 'displaced', 'slow'] as const
export type Closing = (typeof closings)[number]
/** Never let in; let in once and quiet now; with a request open. */
export type Kind = 'stranger' | 'idle' | 'busy'

/** What is worth a line. Slow strangers are not: a balancer's probe connects and says nothing. */
const sentences: Partial<Record<Closing, string>> = {
  full: 'a connection was closed: every other has a request open',
  displaced: 'a connection without a request was closed to make room',
}

export class Places {
  readonly closed = new Map<Closing, number>(closings.map((why) => [why, 0]))
  readonly #limits: Limits
  readonly #log: Log
  readonly #samples = new Map(closings.map((why) => [why, new Sample()]))
  readonly #strangers = new Crowd()
  readonly #idle = new Crowd()
  #count = 0

  constructor(limits: Limits, log: Log) {
    this.#limits = limits
    this.#log = log
  }

  get open(): Map<Kind, number> {
    const [strangers, idle] = [this.#strangers.count, this.#idle.count]
    return new Map([
      ['stranger', strangers],
      ['idle', idle],
      ['busy', this.#count - strangers - idle],
    ])
  }

  /** A place for a new connection, which `end` closes; null: there is none. */
  take(address: string, end: () => void): Place | null {
    const { connections, strangers } = this.#limits
    if (this.#strangers.count >= strangers) this.#displace(this.#strangers)
    if (this.#count >= connections) {
      this.#displace(this.#strangers.count > 0 ? this.#strangers : this.#idle)
    }
    if (this.#count >= connections) {
      this.note('full', address)
      return null
    }
    this.#count += 1
    const left = () => (this.#count -= 1)
    const late = () => this.note('slow', address)
    return new Place({ address, strangers: this.#strangers, idle: this.#idle, end, left, late })
  }

  /** Counts a connection that was closed, and logs a sample where it is worth a line. */
  note(why: Closing, address: string): void {
    const count = (this.closed.get(why) ?? 0) + 1
    this.closed.set(why, count)
    const sentence = sentences[why]
    if (!sentence || !this.#samples.get(why)?.takes()) return
    this.#log('warn', sentence, { address, count })
  }

  #displace(crowd: Crowd): void {
    const place = crowd.next()
    if (!place) return
    this.note('displaced', place.address)
    place.close()
  }
}

type Parts = {
  address: string
  strangers: Crowd
  idle: Crowd
  end: () => void
  left: () => void
  late: () => void
}

/** The place of one connection, a stranger's at first. */
export class Place {
  readonly #parts: Parts
  #isStranger = true
  #isLeft = false
  /** Out of the crowd that it waits in. */
  #leaveCrowd: () => void

  constructor(parts: Parts) {
    this.#parts = parts
    this.#leaveCrowd = parts.strangers.join(networkOf(parts.address), this)
  }

  get address(): string {
    return this.#parts.address
  }

  /** A request on it was let in. */
  busy(): void {
    this.#isStranger = false
    this.#leaveCrowd()
  }

  /** That request of `userId`'s is over, and another may come. */
  idle(userId: string): void {
    if (!this.#isLeft) this.#leaveCrowd = this.#parts.idle.join(userId, this)
  }

  /** Closes the connection because what was due did not come. To be quiet in between is no fault. */
  late(isDue: boolean): void {
    if (isDue || this.#isStranger) this.#parts.late()
    this.close()
  }

  close(): void {
    this.leave()
    this.#parts.end()
  }

  /** The connection is closed. */
  leave(): void {
    if (this.#isLeft) return
    this.#isLeft = true
    this.#leaveCrowd()
    this.#parts.left()
  }
}

/** Places that can be had, in groups, each in the order that they came in. */
class Crowd {
  count = 0
  readonly #groups = new Map<string, Set<Place>>()

  join(group: string, place: Place): () => void {
    const own = this.#groups.get(group) ?? new Set()
    this.#groups.set(group, own.add(place))
    this.count += 1
    return () => {
      if (!own.delete(place)) return
      this.count -= 1
      if (own.size === 0) this.#groups.delete(group)
    }
  }

  /** The oldest of the group that has the most. */
  next(): Place | null {
    let most = new Set<Place>()
    for (const own of this.#groups.values()) if (own.size > most.size) most = own
    return most.values().next().value ?? null
  }
}

/**
 * What one machine can choose its address from: with IPv6 the rest of a /64.
 *
 * @example
 * networkOf('2001:db8::1') // '2001:db8:0:0'
 */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address
  const [front = '', back] = address.split('::')
  const groups = front.split(':').filter((group) => group !== '')
  if (back !== undefined) {
    const after = back.split(':').filter((group) => group !== '')
    while (groups.length + after.length < 8) groups.push('0')
    groups.push(...after)
  }
  return groups.slice(0, 4).join(':')
}
