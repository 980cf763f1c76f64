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
import { History } from './history.ts'
import type { Segment } from './timeline.ts'
import { Making } from './making.ts'
import { Quiet } from './quiet.ts'
import { receipts } from './receipts.ts'
import { Random } from './random.ts'
import { type Found, Segments } from './segments.ts'
import { destinations, type StoreKind, World } from './world.ts'

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

export type Report = Found & {
  ops: Map<string, number>
  faults: Map<string, number>
  callers: Callers['counts']
  historyPath: string
}

/** For all that may take a while on a machine that is busy, by the tolerance of the run. */
const settleMs = 6_000
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
  readonly #making: Making
  readonly #quiet: Quiet
  readonly #segments: Segments
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
    this.#making = new Making(made)
    this.#quiet = new Quiet(made, parts.tolerance)
    this.report = {
      ...{ wrong: [], checks: new Map(), ops: made.driver.ops, faults: this.#faults.counts },
      ...{ acknowledgedMs: [], cutMs: [], callers: made.callers.counts },
      historyPath: made.history.path,
    }
    this.#segments = new Segments(made.history, parts.tolerance, this.report)
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
    this.#segments.begunAt = this.#history.now
    for (const name of destinations) await this.#making.destination(name)
    await this.#making.people(this.#random.branch(), () => {
      return this.#within('the events are read', () => this.#isRead())
    })
    await this.#settle('begin')
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
    this.#segments.begunAt = this.#history.now
    await this.#world.killServer(this.#random.isLucky(0.5) ? 'SIGTERM' : 'SIGKILL')
    await putBack()
    this.#driver.wentBack(memory)
    this.#segments.base = structuredClone(memory.state)
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
    await this.#quiet.areCut()
    await this.#making.destination(name)
    await this.#settle('replace')
  }

  async #lane(over: AbortSignal, weather: 'storm' | 'calm'): Promise<void> {
    const random = this.#random.branch()
    const asked = { driver: this.#driver, history: this.#history, world: this.#world }
    while (!over.aborted) {
      const op = await this.#making.change(random)
      const number = op?.outcome === 'acknowledged' ? op.number : null
      if (number !== null && op) {
        if (weather === 'calm') await receipts(asked, op.at, number, 2 * this.#parts.tolerance)
        else if (random.isLucky(0.4)) await receipts(asked, op.at, number, 1)
      }
      const ms = random.between(20, 250)
      await pause(ms, undefined, { signal: over }).catch(() => {})
    }
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
    await this.#within('all is linked, and enforces all there is', () => this.#quiet.isSettled())
    await this.#quiet.areCut()
    await this.#quiet.knocks()
    this.#judge(what, restored)
    this.#callers.eager(true)
  }

  #judge(what: string, restored: Segment['restored']): void {
    const wrong = this.#segments.judge(what, restored)
    const { number } = this.#driver.state
    const open = this.#callers.open.length
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
