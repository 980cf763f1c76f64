/**
 * One run: storms, in which everything happens at once; after each, all is healed, and what stands
 * is compared with the model; then a calm, in which changes must arrive at once; now and then the
 * database goes back in time, or a destination is made anew.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Callers } from './callers.ts'
import { Driver, type Memory } from './driver.ts'
import type { Ends } from './ends.ts'
import { Faults } from './faults.ts'
import { type Entry, History, type Lists } from './history.ts'
import { judge } from './judge.ts'
import type { Segment, Stream } from './timeline.ts'
import { covers, groupsOf, nothing, sorted, type State } from './model.ts'
import { wish } from './plan.ts'
import { Random } from './random.ts'
import {
  destinations,
  type Replica,
  replicas,
  type StoreKind,
  usualLeaseSeconds,
  World,
} from './world.ts'

export type Phase =
  | { what: 'storm'; seconds: number; longOutage?: string }
  | { what: 'calm'; seconds: number }
  /** The state is kept, and changes follow; then it is that again. By our own commands, or not. */
  | { what: 'restore'; by: 'backup' | 'disk' }
  | { what: 'replace'; destination: string }

export type RunParts = {
  ends: Ends
  seed: number
  store: StoreKind
  tolerance: number
  historyPath: string
  say: (line: string) => void
}

export type Report = {
  wrong: string[]
  checks: Map<string, number>
  ops: Map<string, number>
  faults: Map<string, number>
  acknowledgedMs: number[]
  cutMs: number[]
  callers: Callers['counts']
  historyPath: string
}

const first = { users: 6, groups: 3, grants: 12, keys: 8, logins: 2 }
const strictLeaseSeconds = 15
const mostStrictSeconds = 16
/** For all that may take a while on a machine that is busy, by the tolerance of the run. */
const settleMs = 6_000
/** The server’s clock may have been set: its connectors know with the next beat. */
const lockedOutMs = 2_000
/** How long one that is gone goes on to try with the tokens it has. */
const lastTriesMs = 12_000

export class Run {
  readonly report: Report
  readonly #parts: RunParts
  readonly #history: History
  readonly #random: Random
  readonly #callers: Callers
  readonly #world: World
  readonly #driver: Driver
  readonly #faults: Faults
  #base: State = nothing()
  #begunAt = 0
  #carried: Stream[] = []
  #offsets: Segment['serverOffsets'] = []
  readonly #doubtful = new Set<string>()
  readonly #timers = new Set<NodeJS.Timeout>()

  private constructor(
    parts: RunParts,
    made: { history: History; random: Random; callers: Callers; world: World; driver: Driver },
  ) {
    this.#parts = parts
    this.#history = made.history
    this.#random = made.random
    this.#callers = made.callers
    this.#world = made.world
    this.#driver = made.driver
    this.#faults = new Faults(made.world, made.random.branch())
    this.report = {
      ...{ wrong: [], checks: new Map(), ops: made.driver.ops, faults: this.#faults.counts },
      ...{ acknowledgedMs: [], cutMs: [], callers: made.callers.counts },
      historyPath: made.history.path,
    }
  }

  /** Starts all of it, makes those whom it is about, and judges that. */
  static async start(parts: RunParts): Promise<Run> {
    const { ends, seed, store, historyPath } = parts
    const history = new History(historyPath)
    ends.after(() => history.close())
    const random = new Random(seed)
    const chance = random.branch()
    const later: { run?: Run; callers?: Callers } = {}
    const world = await World.start({
      ...{ ends, history, store, chance: () => chance.next() },
      arrived: (_, request) => later.callers?.arrived(request),
    })
    const driver = new Driver({
      ...{ history, url: world.url, adminKey: world.adminKey, fetch: world.fetch },
      serverOffsetMs: () => world.serverOffsetMs,
      onCredential: (credential) => later.run?.came(credential.id),
      onCredentialGone: (id) => later.run?.went(id),
    })
    const callers = new Callers({ history, random: random.branch(), token: driver.token })
    later.callers = callers
    const run = new Run(parts, { history, random, callers, world, driver })
    later.run = run
    ends.after(() => run.#end())
    await run.#begin()
    return run
  }

  came(id: string): void {
    const credential = this.#driver.credentials.get(id)
    if (!credential) return
    for (const { door } of this.#world.connectors.values()) this.#callers.come(credential, door)
  }

  went(id: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (!this.#driver.credentials.has(id)) this.#callers.leave(id)
    }, lastTriesMs)
    this.#timers.add(timer)
  }

  async phase(phase: Phase): Promise<void> {
    this.#parts.say(`${phase.what}${'seconds' in phase ? `, ${phase.seconds} s` : ''}`)
    if (phase.what === 'storm') await this.#storm(phase)
    else if (phase.what === 'calm') await this.#calm(phase.seconds * 1000)
    else if (phase.what === 'restore') await this.#restore(phase.by)
    else await this.#replace(phase.destination)
  }

  async #begin(): Promise<void> {
    this.#begunAt = this.#history.now
    for (const name of destinations) await this.#makeDestination(name)
    const random = this.#random.branch()
    const wanted: [string, number][] = [
      ['add user', first.users],
      ['add group', first.groups],
      ['add key', first.keys],
      ['log in', first.logins],
      ['join', first.users],
      ['grant', first.grants],
    ]
    for (const [what, count] of wanted) {
      const made = Array.from({ length: count }, () => this.#make(random, what))
      await Promise.all(made)
      await this.#within('the events are read', () => this.#isRead())
    }
    await this.#settle('begin')
  }

  /** Something of this kind; what two think of at once is refused to one of them. */
  async #make(random: Random, what: string): Promise<void> {
    for (let tries = 0; tries < 1_000; tries += 1) {
      const next = wish(random, this.#driver.state, this.#bounds())
      if (next?.what === what) return void (await this.#driver.grantWish(next))
    }
  }

  async #makeDestination(name: string): Promise<void> {
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

  async #storm({ seconds, longOutage }: Extract<Phase, { what: 'storm' }>): Promise<void> {
    const over = AbortSignal.timeout(seconds * 1000)
    this.#callers.eager(true)
    await allOf([
      this.#faults.storm(over, longOutage ?? null),
      this.#following(over),
      ...[1, 2, 3].map(() => this.#lane(over, 'storm')),
    ])
    await this.#settle('storm')
  }

  async #calm(ms: number): Promise<void> {
    const over = AbortSignal.timeout(ms)
    this.#history.add({ kind: 'calm', at: this.#history.now, is: 'begun' })
    await allOf([this.#following(over), ...[1, 2].map(() => this.#lane(over, 'calm'))])
    this.#history.add({ kind: 'calm', at: this.#history.now, is: 'over' })
    await this.#settle('calm')
  }

  /** Keeps the state, changes it, and puts it back. */
  async #restore(by: 'backup' | 'disk'): Promise<void> {
    await this.#world.killServer('SIGTERM')
    const putBack = await (by === 'disk' ? this.#world.copy() : this.#world.backup())
    const memory = this.#driver.remember()
    await this.#world.startServer()
    await this.#settle('copy')
    await this.#calm(2_500)
    const lost = this.#driver.state.number
    this.#begunAt = this.#history.now
    await this.#world.killServer(this.#random.isLucky(0.5) ? 'SIGTERM' : 'SIGKILL')
    await putBack()
    this.#driver.wentBack(memory)
    this.#base = structuredClone(memory.state)
    await this.#world.startServer()
    await this.#within('the past is read', () => this.#tellsTheSame(memory))
    const isSaid = () => {
      const since = this.#driver.told.slice(memory.state.number + 1)
      return since.some((each) => each.includes('"database.restored"'))
    }
    const isOvertaken = () => by === 'disk' && this.#driver.state.number >= lost
    await this.#within('the restored database is noticed', async () => {
      return (await this.#isRead()) && (isSaid() || isOvertaken())
    })
    await this.#settle('restore', isOvertaken() ? 'perhaps' : 'said')
  }

  /** Events up to the copy are what they were; of those after it, nothing is known. */
  async #tellsTheSame({ state }: Memory): Promise<boolean> {
    const before = this.#driver.told.slice(0, state.number + 1)
    for (let after = 0; after < state.number;) {
      const events = await this.#driver.admin.events.list({ after, limit: 1000 })
      for (const event of events.filter(({ number }) => number <= state.number)) {
        if (before[event.number] === JSON.stringify(event)) continue
        this.report.wrong.push(`4: event ${event.number} is another than before the restore`)
      }
      after = events.at(-1)?.number ?? state.number
    }
    this.#driver.told.length = state.number + 1
    return true
  }

  /** Removed: all that was open there is cut. Then it is made anew, under its old name. */
  async #replace(name: string): Promise<void> {
    const { id } = [...this.#driver.state.destinations.values()].find((d) => d.name === name) ?? {}
    if (id === undefined) return
    await this.#driver.perform('remove destination', {
      ...{ event: 'destination.deleted', about: [id] },
      act: () => this.#driver.admin.destinations.delete(id),
    })
    await this.#within('the events are read', () => this.#isRead())
    await this.#areCut()
    await this.#makeDestination(name)
    await this.#settle('replace')
  }

  async #lane(over: AbortSignal, weather: 'storm' | 'calm'): Promise<void> {
    const random = this.#random.branch()
    while (!over.aborted) {
      const op = await this.#change(random)
      const number = op?.outcome === 'acknowledged' ? op.number : null
      if (number !== null && op) {
        if (weather === 'calm') await this.#receipts(op.at, number, 2 * this.#parts.tolerance)
        else if (random.isLucky(0.4)) await this.#receipts(op.at, number, 1)
      }
      const ms = random.between(20, 250)
      await pause(ms, undefined, { signal: over }).catch(() => {})
    }
  }

  /** The first wish that there is anything of; null where its user is busy. */
  async #change(random: Random) {
    for (let tries = 0; tries < 20; tries += 1) {
      const next = wish(random, this.#driver.state, this.#bounds())
      if (next) return this.#driver.grantWish(next)
    }
    return null
  }

  async #receipts(askedAt: number, number: number, waitSeconds: number): Promise<void> {
    const { admin, state } = this.#driver
    const there = [...state.destinations.keys()]
    await Promise.all(
      there.map(async (destination) => {
        const asked = { destination, revision: number, waitSeconds: Math.min(60, waitSeconds) }
        const receipt = await admin.destinations.receipt(asked).catch(() => null)
        if (!receipt) return
        const at = this.#history.now
        const { enforced: isEnforced } = receipt
        this.#history.add({ kind: 'receipt', at, askedAt, number, destination, isEnforced })
        const heard = receipt.connectors.filter(({ link }) => link !== 'silent')
        const beside = [...this.#world.connectors.values()].filter(
          (each) => each.destination === destination,
        )
        const [only] = beside
        if (!isEnforced || !only || beside.length > 1 || heard.length > 1) return
        const { name: connector } = only
        this.#history.add({ kind: 'enforced', at, connector, revision: number, isExact: false })
      }),
    )
  }

  async #following(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.#driver.follow().catch(() => {})
      await pause(150, undefined, { signal: over }).catch(() => {})
    }
  }

  /** Waits until nothing goes on any more, has everybody knock, and judges what came before. */
  async #settle(what: string, restored: Segment['restored'] = 'no'): Promise<void> {
    this.#callers.eager(false)
    for (const connector of this.#world.connectors.values()) connector.heal()
    await this.#within('all is linked, and enforces all there is', () => this.#isSettled())
    await this.#areCut()
    await this.#knocks()
    this.#judge(what, restored)
    this.#callers.eager(true)
  }

  async #isSettled(): Promise<boolean> {
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
  async #areCut(): Promise<void> {
    const isLeft = () => this.#callers.open.some((stream) => !covers(this.#driver.state, stream))
    const until = this.#history.now + 1_000 * this.#parts.tolerance
    while (isLeft() && this.#history.now < until) await pause(20)
  }

  /** Everybody at every door: who has access until they are in, the others once. */
  async #knocks(): Promise<void> {
    const pairs = [...this.#driver.credentials.values()].flatMap((credential) =>
      [...this.#world.connectors.values()].map(({ door }) => ({ credential, door })),
    )
    const until = this.#history.now + lockedOutMs * this.#parts.tolerance
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

  #judge(what: string, restored: Segment['restored']): void {
    const entries: Entry[] = this.#history.take()
    const verdict = judge({
      ...{ base: this.#base, begunAt: this.#begunAt, entries, carried: this.#carried, restored },
      wallOffset: Date.now() - performance.now(),
      serverOffsets: this.#offsets,
      usualLeaseSeconds,
      doubtful: this.#doubtful,
      tolerance: this.#parts.tolerance,
    })
    this.#base = verdict.state
    this.#begunAt = this.#history.now
    this.#carried = verdict.carried
    this.#offsets = verdict.serverOffsets
    const { report } = this
    report.wrong.push(...verdict.wrong.map((each) => `after ${what}: ${each}`))
    report.acknowledgedMs.push(...verdict.acknowledgedMs)
    report.cutMs.push(...verdict.cutMs)
    for (const [name, count] of Object.entries(verdict.checks)) {
      report.checks.set(name, (report.checks.get(name) ?? 0) + count)
    }
    const { number } = this.#driver.state
    const open = this.#callers.open.length
    const wrong = verdict.wrong.length
    this.#parts.say(`judged ${what}: event ${number}, ${open} streams open, ${wrong} wrong`)
  }

  async #isRead(): Promise<boolean> {
    await this.#driver.follow()
    return true
  }

  async #within(what: string, look: () => Promise<boolean>): Promise<void> {
    const until = this.#history.now + settleMs * this.#parts.tolerance
    while (this.#history.now < until && !this.#world.isOver) {
      if (await look().catch(() => false)) return
      await pause(100)
    }
    throw new Error(`never happened: ${what}`)
  }

  async #end(): Promise<void> {
    this.#world.isOver = true
    for (const timer of this.#timers) clearTimeout(timer)
    await this.#callers.end()
  }
}

/** Waits for all of them, also where one fails: none goes on behind it. */
async function allOf(all: Promise<void>[]): Promise<void> {
  for (const each of await Promise.allSettled(all)) {
    if (each.status === 'rejected') throw each.reason
  }
}
