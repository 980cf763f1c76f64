/** Between server and connector: how knowledge comes, and what the connector does in the cluster. */
import { breaksOf, type Mutant } from './mutant.ts'

const linkTest = 'connector/link/link.test.ts'

const enforcer = breaksOf('connector/link/enforcer.ts', linkTest, [
  {
    name: 'R1: new Access is taken, and nothing is cut by it',
    old: `const severed = this.#streams.recheck(this.#access)
    this.#isEnforced = true`,
    new: `const severed = 0
    this.#isEnforced = true`,
  },
  {
    name: 'R1: what could not be severed counts as enforced',
    old: `    this.#isEnforced = false
    this.#taken += 1
    const severed`,
    new: `    this.#isEnforced = true
    this.#taken += 1
    const severed`,
    tests: ['connector/link/poll.test.ts'],
  },
  {
    name: 'L11: a connector whose key has ended lets in as before',
    old: `    this.#access.empty()\n`,
    new: ``,
  },
])

const poll = breaksOf('connector/link/poll.ts', 'connector/link/poll.test.ts', [
  {
    name: 'R3: an answer that the link has overtaken is applied',
    old: `if (enforcer.taken === takenBefore) await this.#apply(answer, sentAt)`,
    new: `await this.#apply(answer, takenBefore < 0 ? 0 : sentAt)`,
  },
  {
    name: 'R6: a lease by the poll counts from when the answer came',
    old: `access.renew({ at: answer.at, epoch, revision, since: revision }, sentAt)`,
    new: `access.renew(
      { at: answer.at, epoch, revision, since: revision },
      sentAt < 0 ? 0 : this.#parts.clock.elapsed(),
    )`,
  },
])

const serversEnd = breaksOf('src/hub/link.ts', 'src/hub/hub.test.ts', [
  {
    name: 'R6: a ping is answered though the server does not listen',
    old: `if (!this.#receipt || !this.#parts.isListening()) return`,
    new: `if (!this.#receipt) return`,
    tests: ['src/epoch.test.ts'],
    hangs: true,
  },
  {
    name: 'R6: a ping is answered while a change is known and not sent',
    old: `const needed = this.#concernedAt`,
    new: `const needed = -1`,
  },
  {
    name: 'R3: two sends may overlap, and the older arrive last',
    old: `if (this.#isRefreshing) return
    this.#isRefreshing = true`,
    new: `this.#isRefreshing = true`,
    hangs: true,
  },
  {
    name: 'S2: a reader may fall behind as far as it likes',
    old: `if (this.#parts.socket.backlog() > maxBacklog) this.close(closing.tooSlow, 'too slow')`,
    new: ``,
    hangs: true,
  },
  {
    name: 'S3: Access is sent to whoever has not said hello',
    old: `if (!this.#receipt) return this.close(closing.badMessage, 'hello comes first')`,
    new: ``,
    hangs: true,
  },
])

const hub = breaksOf('src/hub/hub.ts', 'src/epoch.test.ts', [
  {
    name: 'P3: a database that has lost events is believed',
    old: `last?.epoch === epoch && revision < last.revision`,
    new: `last?.epoch === epoch && revision < 0`,
    hangs: true,
  },
])

const keys = breaksOf('src/hub/open-links.ts', 'src/hub/keys.test.ts', [
  {
    name: 'L11: the link of a key that has ended stays open',
    old: `link.keyStands(ends.get(link.keyId))`,
    new: `link.keyStands(ends.get(link.keyId) ?? null)`,
    hangs: true,
  },
])

const endings = breaksOf('src/hub/look.ts', 'src/hub/keys.test.ts', [
  {
    name: 'L11: an event that ends a key is taken for one about a user',
    old: `if (!subjects?.length) endingAt.add(id)`,
    new: `if (subjects === null) endingAt.add(id)`,
    hangs: true,
  },
])

const pollAnswer = breaksOf('src/hub/poll.ts', 'src/hub/poll.test.ts', [
  {
    name: 'R5: whatever is held is called unchanged',
    old: `asked.digest === new Ledger(access).digest`,
    new: `asked.digest !== undefined`,
  },
])

const bindings = breaksOf('connector/cluster/binding.ts', 'connector/cluster/roles.test.ts', [
  {
    name: 'P6: bindings that others made are taken for ours',
    old: `return lists.flat().filter((binding) => isOurs(binding, destinationId))`,
    new: `return lists.flat()`,
  },
  {
    name: 'P6: the bindings of another destination are ours',
    old: `    labels[instance] === destinationId &&\n`,
    new: ``,
  },
  {
    name: 'P6: what bears our labels is ours, whatever its name',
    old: ` &&\n    name.startsWith(bindingName(destinationId, ''))`,
    new: ``,
  },
  {
    name: 'P1: a binding that a hand has opened to another group is intact',
    old: ` &&\n    subject.name === grantGroup({ role, namespace })`,
    new: ``,
  },
  {
    name: 'P1: a binding with one more subject is intact',
    old: `if (!subject || others.length > 0) return false`,
    new: `if (!subject) return false`,
  },
])

const roles = breaksOf('connector/cluster/roles.ts', 'connector/cluster/roles.test.ts', [
  {
    name: 'R4: what is new is made before what goes is removed',
    old: `return [...removals, ...repairs, ...creations]`,
    new: `return [...creations, ...repairs, ...removals]`,
  },
  {
    name: 'R4: one binding that fails holds up the others',
    old: `await take(ask, id, step).catch((error: unknown) => failures.push(sentenceOf(error)))`,
    new: `await take(ask, id, step)`,
  },
  {
    name: 'D10: a role may lead out of its place in a path',
    old: `if (!RoleName.safeParse(role).success) return false`,
    new: ``,
  },
])

export const ofTheLink: Mutant[] = [
  ...[...enforcer, ...poll, ...serversEnd, ...hub, ...keys, ...endings, ...pollAnswer],
  ...[...bindings, ...roles],
]
