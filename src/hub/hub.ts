/**
 * Keeps the Access of every linked connector current.
 *
 * One mechanism for all: a look at the events that are new tells which links are stale, and a stale
 * link gets Access when it differs from what it was sent last. Looks are woken by NOTIFY and by
 * every ping. What is missed by one is found by the next, because a look goes by event numbers and
 * not by what woke it.
 *
 * Only knowledge renews a lease: a beat is sent after the database was read for it, and what the
 * reading found was sent. Whoever cannot read, or would not hear of the next change, says nothing,
 * and the leases run out.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { readAccesses } from '../access.ts'
import type { ConnectorActor, Links } from '../call.ts'
import { instancesAt } from '../connectors.ts'
import type { Store } from '../db/database.ts'
import { fromDatabase } from '../db/errors.ts'
import { channel } from '../events.ts'
import { Batches } from '../db/batches.ts'
import { instancesOf, neverHeard } from './instances.ts'
import { Link, type LinkParts } from './link.ts'
import { look, type Look } from './look.ts'
import { LostEvents } from './lost.ts'
import { Marks } from './marks.ts'
import { OpenLinks } from './open-links.ts'
import { answerPoll } from './poll.ts'
import { type Numbers, Receipts } from './receipts.ts'
import { closing, type Socket } from '../sockets.ts'
import { Troubles } from './troubles.ts'
import type { ConnectorInstance, LinkState } from '../wire/destinations.ts'
import { log } from '../wire/log.ts'
import type { PollAck, PollAnswer, PollQuery } from '../wire/poll.ts'

/** The more links there are, the longer pings wait for each other: ten thousand, for 50 ms. */
const pingsWaitMs = (destinations: number): number => Math.min(100, destinations / 200)
/** Of so many destinations Access is read at once: what was read for them is held meanwhile. */
const mostRead = 256
const retryMs = [250, 1000, 4000, 10_000]

/** What the hub knows of links and receipts, in numbers. */
export type LinkNumbers = Numbers & {
  /** The newest event that was looked at; null: none was yet. */
  newest: number | null
}

export class Hub implements Links {
  readonly #store: Store
  readonly #parts: Omit<LinkParts, 'actor' | 'socket'>
  readonly #open = new OpenLinks()
  readonly #receipts: Receipts
  readonly #lost: LostEvents
  /** However many ask, the database is looked at once for them; and once more for who comes late. */
  readonly #looks = new Batches<void, Look>(async () => {
    const found = await this.#lookNow()
    return () => found
  })
  /** For pings: these also wait for each other. */
  readonly #looksSoon = new Batches<void, Look>(
    async () => {
      const found = await this.#look()
      return () => found
    },
    { gather: () => this.#gatherPings() },
  )
  #last: Look | null = null
  #failures = 0
  #retry: NodeJS.Timeout | null = null
  #stop: (() => Promise<void>) | null = null

  constructor(store: Store, settings: LinkParts['settings'], clock: () => Date) {
    const { db } = store
    this.#store = store
    this.#receipts = new Receipts(clock)
    this.#lost = new LostEvents(db, clock)
    this.#parts = {
      ...{ db, settings, clock, receipts: this.#receipts },
      marks: new Marks(db, clock),
      troubles: new Troubles(db, clock, this.#receipts),
      reads: new Batches(
        async (ids) => {
          const now = clock()
          const accessOf = await readAccesses(db, ids, { now, settings })
          return (id) => ({ now, access: accessOf(id) })
        },
        { most: mostRead },
      ),
      look: () => this.#look(),
      lookSoon: () => this.#looksSoon.ask(),
      isListening: () => store.isListening(),
      ahead: (actor, revision, at) => this.#lost.claimed(actor, revision, at),
      retry: () => this.#retryLater(),
    }
  }

  async open(): Promise<void> {
    this.#stop = await this.#store.listen(channel, () => this.#wake())
    await this.#parts.troubles.open()
    await this.#look()
  }

  async close(): Promise<void> {
    await this.#stop?.()
    if (this.#retry) clearTimeout(this.#retry)
    for (const link of this.#open.at(null)) link.close(closing.goingAway, 'the server is stopping')
    // The store may be closed as soon as this returns.
    await this.#parts.troubles.close()
    const { reads, marks } = this.#parts
    for (const work of [this.#looksSoon, this.#looks, reads, marks]) await work.idle()
  }

  /** A connector's link, from the upgrade on. It is sent nothing before it has said hello. */
  attach(
    actor: ConnectorActor,
    socket: Socket,
  ): { receive(text: string): void; detach(code?: number): void } {
    const link = new Link({ ...this.#parts, actor, socket })
    this.#open.add(link)
    const detach = (code?: number): void => {
      link.detach(code)
      this.#open.remove(link)
    }
    return { receive: (text) => link.receive(text), detach }
  }

  get numbers(): LinkNumbers {
    return { newest: this.#last?.revision ?? null, ...this.#receipts.numbers }
  }

  linked(destinationId: string): number {
    return this.#receipts.linked(destinationId)
  }

  state(destinationId: string): LinkState {
    return this.#receipts.state(destinationId)
  }

  /** Named as well: whoever has not been heard of since this server started, and may hold a lease. */
  async enforced(
    destinationId: string,
    revision: number,
    waitMs: number,
  ): ReturnType<Links['enforced']> {
    // Whom no event concerned was told of no look: what they hold is all there is, up to this one.
    const look = await this.#look()
    for (const link of this.#open.at([destinationId])) link.looked(look)
    const known = await this.#receipts.enforced(destinationId, revision, waitMs)
    const { db, clock } = this.#parts
    const marked = await instancesAt(db, destinationId, clock())
    return [...known, ...neverHeard(this.#receipts, marked)]
  }

  async instances(destinationId: string): Promise<ConnectorInstance[]> {
    const { db, clock } = this.#parts
    const marked = await instancesAt(db, destinationId, clock())
    return instancesOf(this.#receipts, destinationId, { marked, now: clock() })
  }

  answer(actor: ConnectorActor, asked: PollQuery): Promise<PollAnswer> {
    return answerPoll(this.#parts, actor, asked)
  }

  acknowledge({ destinationId }: ConnectorActor, { instance, ...enforced }: PollAck): void {
    const receipt = this.#receipts.find(destinationId, instance)
    if (receipt) this.#receipts.acknowledged(receipt, enforced)
  }

  problems(destinationId: string): string[] {
    return this.#receipts.problems(destinationId)
  }

  #wake(): void {
    this.#look().catch((thrown: unknown) => {
      log('error', 'the hub cannot read the database', { error: fromDatabase(thrown) })
      this.#retryLater()
    })
  }

  /** Somebody has to look again, should nothing else wake the hub: a ping does so anyway. */
  #retryLater(): void {
    if (this.#retry) return
    const wait = retryMs[Math.min(this.#failures++, retryMs.length - 1)] ?? 0
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.#wake()
    }, wait)
    this.#retry.unref()
  }

  /** Looks at the database from now on. */
  #look(): Promise<Look> {
    return this.#looks.ask()
  }

  async #gatherPings(): Promise<void> {
    const waitMs = pingsWaitMs(this.#open.size)
    if (waitMs >= 1) await pause(waitMs)
  }

  async #lookNow(): Promise<Look> {
    const { db, clock } = this.#parts
    const last = this.#last
    const at = clock()
    const { arrived } = this.#open
    const found = await look(db, last, at, (id) => this.#open.isAt(id))
    const { epoch, revision } = found
    if (last?.epoch === epoch && revision < last.revision) {
      // Who looks again finds the new epoch, and another one than the last.
      await this.#lost.found(epoch, { knownRevision: last.revision, revision })
      return this.#lookNow()
    }
    const concerned = this.#open.at(found.destinations)
    const doubted = concerned.filter((link) => found.endsKeys(link.destinationId))
    await this.#open.checkKeys(db, [...arrived, ...doubted], at)
    this.#last = found
    this.#failures = 0
    this.#receipts.looked(found)
    for (const link of concerned) link.looked(found)
    return found
  }
}
