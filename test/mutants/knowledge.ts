/** What the connector knows, how old that is, and what it cuts by it. */
import { breaksOf, type Mutant } from './mutant.ts'

const access = breaksOf('connector/access.ts', 'connector/access.test.ts', [
  {
    name: 'R3: an older revision is taken',
    old: `this.#head.epoch === epoch && revision < this.#head.revision`,
    new: `this.#head.epoch !== epoch && revision < 0`,
  },
  {
    name: 'R6: a beat about Access that is not held renews the lease',
    old: `held.epoch !== beat.epoch || held.revision < beat.since`,
    new: `beat.epoch === ''`,
  },
  {
    name: 'R6: the lease counts from when the beat came',
    old: `this.#renewedAt = Math.max(this.#renewedAt ?? sentAt, sentAt)`,
    new: `this.#renewedAt = this.#clock.elapsed()`,
  },
  {
    name: 'R6: the lease never ends',
    old: `if (this.#clock.elapsed() < endsAt) return null`,
    new: `if (endsAt > 0) return null`,
  },
  {
    name: 'R6: a clock that jumped is believed',
    old: `if (Math.abs(offset - this.#wallOffset) <= tolerableJumpMs) return`,
    new: `if (offset === offset) return`,
  },
  {
    name: 'R6: whoever stands is let in without a lease',
    old: `return this.lapse() ?? this.lastStanding(userId, sessionId)`,
    new: `return this.lastStanding(userId, sessionId)`,
  },
  {
    name: 'R6: server time is the time of this machine',
    old: `this.#serverOffset = serverAt - (sentAt + elapsed) / 2`,
    new: `this.#serverOffset = this.#clock.wall() - elapsed + 0 * serverAt`,
  },
])

const streams = breaksOf('connector/streams.ts', 'connector/streams.test.ts', [
  {
    name: 'R1: a stream goes on while any of its groups stands',
    old: `groups.every((group) => given.has(group))`,
    new: `groups.some((group) => given.has(group))`,
  },
  {
    name: 'R1: a stream that names no group lives for ever',
    old: `groups.length > 0 && groups.every`,
    new: `groups.every`,
  },
  {
    name: 'R6: the end of the lease severs nothing',
    old: `const lapse = access.mayKeepStreams() ? null : access.lapse()`,
    new: `const lapse = access.mayKeepStreams() ? access.lapse() : null`,
  },
  {
    name: 'R1: the sessions of a user are one',
    old: 'const key = `${userId} ${sessionId}`',
    new: 'const key = userId',
  },
])

const deadlines = breaksOf('connector/deadlines.ts', 'connector/streams.test.ts', [
  {
    name: 'R1: a grant that expires is not looked for',
    old: `const isDue = this.#isExpired() || !access.mayKeepStreams()`,
    new: `const isDue = !access.mayKeepStreams()`,
  },
  {
    name: 'R1: a beat between an expiry and its timer hides the expiry',
    old: `this.#overdue = this.#isExpired()\n    this.#expiry`,
    new: `this.#overdue = false\n    this.#expiry`,
  },
  {
    name: 'R6: the lease is not looked for',
    old: `const isDue = this.#isExpired() || !access.mayKeepStreams()`,
    new: `const isDue = this.#isExpired()`,
  },
  {
    name: 'R6: a timer that is late is not noticed before bytes pass',
    old: `this.#parts.clock.elapsed() >= this.#dueAt`,
    new: `this.#parts.clock.elapsed() < 0`,
  },
])

const groups = breaksOf('src/wire/access.ts', 'connector/access.test.ts', [
  {
    name: 'P1: a member’s group and a role share their names',
    old: 'return `infra:group:${name}`',
    new: 'return `infra:role:${name}`',
  },
  {
    name: 'P1: a role in a namespace is a role everywhere',
    old: 'return namespace === null ? `infra:role:${role}` : `infra:namespace:${namespace}:${role}`',
    new: 'return `infra:role:${role}`',
  },
])

export const ofWhatIsKnown: Mutant[] = [...access, ...streams, ...deadlines, ...groups]
