/** What changed of Access: read, told, and taken. */
import { breaksOf, type Mutant } from './mutant.ts'

const told = 'src/hub/deltas.test.ts'
const taken = 'connector/link/link.test.ts'

const changes = breaksOf('src/changes.ts', told, [
  {
    name: 'R5: a group that comes or goes is told without its members',
    old: `    if (subject.kind === 'group' && isHere !== wasHere) return null\n`,
    new: ``,
  },
])

const entries = breaksOf('src/entries.ts', 'src/access.test.ts', [
  {
    name: 'R5: Access lets a disabled user in',
    old: `and(anyOf(t.users.id, users), isNull(t.users.disabledAt))`,
    new: `anyOf(t.users.id, users)`,
  },
  {
    name: 'R5: a delta names groups that have no grant there',
    old: `person.groups.filter((group) => here.has(group))`,
    new: `person.groups`,
    tests: [told],
  },
  {
    name: 'R5: Access leaves an ended session out',
    old: `at !== null && at.getTime() > since).map`,
    new: `at !== null && at.getTime() > since).slice(1).map`,
  },
  {
    name: 'P2: Access tells for ever what ended long ago',
    old: `at !== null && at.getTime() > since)`,
    new: `at !== null && since > 0)`,
  },
])

const subjects: Mutant[] = [
  ...breaksOf('src/grants.ts', told, [
    {
      name: 'R5: an event of revoked grants names nobody',
      old: `subjects: [subjectOf(row)] }\n      const`,
      new: `subjects: [] }\n      const`,
    },
  ]),
  ...breaksOf('src/users.ts', told, [
    {
      name: 'R5: an event of a disabled user names nobody',
      old: `    const subjects = [userSubject(user.id)]\n    revision`,
      new: `    const subjects: never[] = []\n    revision`,
    },
  ]),
  ...breaksOf('src/groups.ts', told, [
    {
      name: 'R5: an event of a group that was left names nobody',
      old: `    const subjects = [userSubject(user.id)]\n    const happening`,
      new: `    const subjects: never[] = []\n    const happening`,
    },
  ]),
  ...breaksOf('src/sessions.ts', told, [
    {
      name: 'R5: an event of an ended session names nobody',
      old: `  const subjects = [userSubject(userId)]`,
      new: `  const subjects: never[] = []`,
    },
  ]),
]

const links = breaksOf('src/hub/link.ts', told, [
  {
    name: 'R5: what happens while Access is read is forgotten',
    old: `    this.#catchUp()\n    this.#verify()\n  }`,
    new: `    this.#verify()\n  }`,
    tests: ['src/hub/hub.test.ts'],
  },
  {
    name: 'P2: what ended long ago is told for ever',
    old: `sent?.isAged(look.at) ?? false`,
    new: `false && !sent`,
  },
])

const sent = breaksOf('src/hub/sent.ts', told, [
  {
    name: 'R3: a delta does not say what it is made for',
    old: `return { epoch, since, revision`,
    new: `return { epoch, since: revision, revision`,
  },
])

const held = [
  ...breaksOf('connector/directory.ts', taken, [
    {
      name: 'R1: a delta adds to what stood before',
      old: `    for (const subject of delta.subjects) this.#remove(subject)\n`,
      new: ``,
    },
    {
      name: 'R1: a session that has ended stands',
      old: `    if (user.ended.includes(sessionId)) return { kind: 'ended' }\n`,
      new: ``,
      tests: ['connector/door/door.test.ts'],
    },
  ]),
  ...breaksOf('connector/directory.ts', 'connector/access.test.ts', [
    {
      name: 'R1: what was judged outlives a change',
      old: `    this.#judged.clear()\n`,
      new: ``,
    },
    {
      name: 'R5: what was judged outlives an expiry',
      old: `(until === null || now < until)`,
      new: `(until === null || now > 0)`,
    },
    {
      name: 'R6: what was judged outlives a clock that went back',
      old: `return now >= at && (`,
      new: `return at > 0 && (`,
    },
  ]),
  ...breaksOf('connector/access.ts', taken, [
    {
      name: 'R3: a delta is taken upon less than it was made for',
      old: `|| head.revision < delta.since) {`,
      new: `) {`,
    },
    {
      name: 'R3: a delta that is older than what is held is taken',
      old: `    if (this.#isOlder(delta)) return false\n`,
      new: ``,
    },
    {
      name: 'R6: a beat about other Access renews the lease',
      old: `    if ('digest' in beat && this.#isOther(beat)) return false\n`,
      new: ``,
    },
  ]),
]

export const ofDeltas: Mutant[] = [...changes, ...entries, ...subjects, ...links, ...sent, ...held]
