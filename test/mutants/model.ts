/** Breaks that the model-based run finds from outside: processes from sources, nothing to build. */
import { breaksOf, type Mutant } from './mutant.ts'

const bounded = 'test/model/model.test.ts'
const restore = 'test/model/model-restore.test.ts'

const enforcing = breaksOf('connector/link/enforcer.ts', bounded, [
  {
    name: 'R1: new Access is said to be enforced, and cuts nothing',
    old: `    const severed = this.#streams.recheck(this.#access)\n    this.#isEnforced = true`,
    new: `    const severed = 0\n    this.#isEnforced = true`,
  },
  {
    name: 'R1: what is lost is cut some time after the word that it was',
    old: `    const severed = this.#streams.recheck(this.#access)\n    this.#isEnforced = true`,
    new: `    const severed = 0\n    setTimeout(() => this.#streams.recheck(this.#access), 1500)\n    this.#isEnforced = true`,
  },
])

const streams = breaksOf('connector/streams.ts', bounded, [
  {
    name: 'R1: each change cuts everybody',
    old: `(stream) => !isCovered(stream, groupsOf(stream))`,
    new: `(stream) => groupsOf(stream).size >= 0`,
  },
  {
    name: 'R1: one group that is left keeps a stream of several',
    old: `groups.every((group) => given.has(group))`,
    new: `groups.some((group) => given.has(group))`,
  },
])

const splice = [
  ...breaksOf('connector/splice/held.ts', bounded, [
    {
      name: 'R1: a stream counts as severed, and goes on',
      old: `      this.severed = reason\n      this.#destroy()`,
      new: `      this.severed = reason`,
    },
  ]),
  ...breaksOf('connector/splice/proxy.ts', bounded, [
    {
      name: 'R1: a request is carried on before it is held, and judged but once',
      old: `    const held = new Held({ caller, place, admitted, streams, most, beforeBytes })
    const close = this.records.open({ id, head, upgrade, admitted, address })
    const ended: Pick<Ended, 'error' | 'leftBy'> = { error: null, leftBy: null }
    try {
      this.#judgeAgain(admitted)`,
      new: `    await new Promise((later) => setTimeout(later, 2_500))
    const held = new Held({ caller, place, admitted, streams, most, beforeBytes })
    const close = this.records.open({ id, head, upgrade, admitted, address })
    const ended: Pick<Ended, 'error' | 'leftBy'> = { error: null, leftBy: null }
    try {`,
    },
  ]),
]

const leases = breaksOf('connector/access.ts', bounded, [
  {
    name: 'R6: without a word of the server the lease goes on',
    old: `if (this.#clock.elapsed() < endsAt) return null`,
    new: `if (endsAt > 0) return null`,
  },
])

const told = [
  ...breaksOf('connector/directory.ts', bounded, [
    {
      name: 'R1: what is new is added to what stood before',
      old: `    for (const subject of delta.subjects) this.#remove(subject)\n`,
      new: ``,
    },
  ]),
  ...breaksOf('src/entries.ts', bounded, [
    {
      name: 'P2: an ended session is dropped before its tokens are over',
      old: `at.getTime() > since)`,
      new: `at.getTime() < since)`,
    },
    {
      name: 'R5: who is disabled stands by their access key',
      old: `and(anyOf(t.users.id, users), isNull(t.users.disabledAt))`,
      new: `anyOf(t.users.id, users)`,
    },
  ]),
  ...breaksOf('src/groups.ts', bounded, [
    {
      name: 'R5: nobody is told that a group was left',
      old: `    const subjects = [userSubject(user.id)]\n    const happening`,
      new: `    const subjects: never[] = []\n    const happening`,
    },
  ]),
  ...breaksOf('src/sessions.ts', bounded, [
    {
      name: 'R5: nobody is told that a session has ended',
      old: `  const subjects = [userSubject(userId)]`,
      new: `  const subjects: never[] = []`,
    },
  ]),
  ...breaksOf('src/users.ts', bounded, [
    {
      name: 'R5: nobody is told that a user was disabled, or enabled again',
      old: `    const subjects = [userSubject(user.id)]
    revision = await`,
      new: `    const subjects: never[] = []
    revision = await`,
    },
  ]),
  ...breaksOf('src/keys.ts', bounded, [
    {
      name: 'R5: nobody is told that the access key of a user was revoked',
      old: `export function subjectsOfKey({ userId }: Pick<KeyRow, 'userId'>): Subject[] {`,
      new: `export function subjectsOfKey({ userId }: Pick<KeyRow, 'userId'>): Subject[] {
  if (userId !== '') return []`,
    },
  ]),
  ...breaksOf('src/grants.ts', bounded, [
    {
      name: 'R1: nobody is told that a grant was revoked',
      old: `    const subjects = [subjectOf(row)]
    const happening`,
      new: `    const subjects: never[] = []
    const happening`,
    },
    {
      name: 'R4: a grant is revoked without an event',
      old: `return { revision: await record(tx, actor, now, happening), destinations: destinationIds }`,
      new: `return { revision: happening.subjects.length, destinations: destinationIds }`,
    },
  ]),
]

const epochs = breaksOf('src/epoch.ts', restore, [
  {
    name: 'P3: a database that went back keeps its epoch',
    old: `const epoch = newId()`,
    new: `const epoch = old ?? newId()`,
  },
])

export const ofTheModel: Mutant[] = [
  ...[...enforcing, ...streams, ...splice, ...leases, ...told],
  ...epochs,
]
