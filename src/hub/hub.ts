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
import { and, gt, inArray, isNull, or } from 'drizzle-orm'
import type { ConnectorActor, Links } from '../call.ts'
import { instancesAt } from '../connectors.ts'
import type { Store } from '../db/database.ts'
import { fromDatabase } from '../db/errors.ts'
import { accessKeys } from '../db/schema.ts'
import { beginEpoch } from '../epoch.ts'
import { channel } from '../events.ts'
import { instancesOf } from './instances.ts'
import { Link, type LinkParts } from './link.ts'
import { look, type Look } from './look.ts'
import { Marks } from './marks.ts'
import { answerPoll } from './poll.ts'
import { type Numbers, Receipts } from './receipts.ts'
import { closing, type Socket } from '../sockets.ts'
import { Troubles } from './troubles.ts'
import type { ConnectorInstance, LinkState } from '../wire/destinations.ts'
import { log } from '../wire/log.ts'
import type { PollAck, PollAnswer, PollQuery } from '../wire/poll.ts'

/** The more links there are, the longer pings wait for each other: ten thousand, for 50 ms. */
const pingsWaitMs = (destinations: number): number => Math.min(100, destinations / 200)
const retryMs = [250, 1000, 4000, 10_000]
/** A connector is believed once an hour: with its key, somebody could make all of them begin anew. */
const believeEveryMs = 3_600_000

/** What the hub knows of links and receipts, in numbers. */
export type LinkNumbers = Numbers & {
  /** The newest event that was looked at; null: none was yet. */
  newest: number | null
}

export class Hub implements Links {
  readonly #store: Store
  readonly #parts: Omit<LinkParts, 'actor' | 'socket'>
  /** By destination. */
  readonly #links = new Map<string, Set<Link>>()
  /** Whose key was not looked at since they came. */
  readonly #unchecked = new Set<Link>()
  readonly #receipts: Receipts
  /** When each destination's connector was believed last that the database went back. */
  readonly #believed = new Map<string, number>()
  #last: Look | null = null
  #running: Promise<Look> | null = null
  #next: Promise<Look> | null = null
  /** The look that pings wait for, which has not begun. */
  #soon: Promise<Look> | null = null
  #failures = 0
  #retry: NodeJS.Timeout | null = null
  #stop: (() => Promise<void>) | null = null

  constructor(store: Store, settings: LinkParts['settings'], clock: () => Date) {
    this.#store = store
    this.#receipts = new Receipts(clock)
    this.#parts = {
      ...{ db: store.db, settings, clock, receipts: this.#receipts },
      marks: new Marks(store.db, clock),
      troubles: new Troubles(store.db, clock, this.#receipts),
      look: () => this.#look(),
      lookSoon: () => this.#lookSoon(),
      isListening: () => store.isListening(),
      ahead: (actor, revision, look) => this.#believe(actor, revision, look),
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
    const links = this.#linksAt(null)
    for (const link of links) link.close(closing.goingAway, 'the server is stopping')
    // The store may be closed as soon as this returns.
    await this.#parts.troubles.close()
    await Promise.allSettled([this.#soon, this.#running, ...links.map((link) => link.reading)])
  }

  /** A connector's link, from the upgrade on. It is sent nothing before it has said hello. */
  attach(
    actor: ConnectorActor,
    socket: Socket,
  ): { receive(text: string): void; detach(code?: number): void } {
    const link = new Link({ ...this.#parts, actor, socket })
    const here = this.#links.get(link.destinationId) ?? new Set()
    this.#links.set(link.destinationId, here.add(link))
    this.#unchecked.add(link)
    const detach = (code?: number): void => {
      link.detach(code)
      here.delete(link)
      if (here.size === 0 && this.#links.get(link.destinationId) === here) {
        this.#links.delete(link.destinationId)
      }
      this.#unchecked.delete(link)
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
    for (const link of this.#linksAt([destinationId])) link.looked(look)
    const known = await this.#receipts.enforced(destinationId, revision, waitMs)
    const { db, clock } = this.#parts
    const marked = await instancesAt(db, destinationId, clock())
    const unknown = marked.filter(({ instance }) => !this.#receipts.find(destinationId, instance))
    return [
      ...known,
      ...unknown.map(({ instance, leaseEndsAt }) => ({
        ...{ instance, linked: false, link: 'silent' as const, enforcedAt: null, severed: 0 },
        leaseEndsAt: leaseEndsAt.toISOString(),
      })),
    ]
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

  /**
   * Looks at the database from now on: a look that runs already began before, so it says nothing of
   * this instant, and whoever asks meanwhile shares the one that follows it.
   */
  #look(): Promise<Look> {
    if (!this.#running) return this.#begin()
    this.#next ??= this.#running
      .catch(() => null)
      .then(() => {
        this.#next = null
        return this.#begin()
      })
    return this.#next
  }

  /** For pings: however many come, the database is read so often for them and no more. */
  #lookSoon(): Promise<Look> {
    const waitMs = pingsWaitMs(this.#links.size)
    if (waitMs < 1) return this.#look()
    this.#soon ??= pause(waitMs).then(() => {
      this.#soon = null
      return this.#look()
    })
    return this.#soon
  }

  #begin(): Promise<Look> {
    const looking = this.#lookNow().finally(() => {
      if (this.#running === looking) this.#running = null
    })
    this.#running = looking
    return looking
  }

  async #lookNow(): Promise<Look> {
    const { db, clock } = this.#parts
    const last = this.#last
    const at = clock()
    const arrived = [...this.#unchecked].filter((link) => link.hasGreeted)
    const found = await look(db, last, at, (id) => this.#linksAt([id]).length > 0)
    const { epoch, revision } = found
    if (last?.epoch === epoch && revision < last.revision) {
      // Who looks again finds the new epoch, and another one than the last.
      await this.#wentBack(epoch, { knownRevision: last.revision, revision })
      return this.#lookNow()
    }
    const concerned = this.#linksAt(found.destinations)
    const doubted = concerned.filter((link) => found.endsKeys(link.destinationId))
    await this.#checkKeys([...arrived, ...doubted], at)
    for (const link of arrived) this.#unchecked.delete(link)
    this.#last = found
    this.#failures = 0
    this.#receipts.looked(found)
    for (const link of concerned) link.looked(found)
    return found
  }

  #linksAt(destinationIds: string[] | null): Link[] {
    const sets = destinationIds?.map((id) => this.#links.get(id) ?? []) ?? this.#links.values()
    return [...sets].flatMap((links) => [...links])
  }

  /** @throws when it cannot be written: then nothing was sent of what is there now. */
  async #wentBack(epoch: string, facts: Record<string, unknown>): Promise<void> {
    log('error', 'the database went back in time, all connectors begin anew', facts)
    await beginEpoch(this.#parts.db, epoch, this.#parts.clock(), facts)
  }

  /** A connector knows a later revision than there is; false where it is not believed (again). */
  async #believe(
    actor: ConnectorActor,
    knownRevision: number,
    look: Pick<Look, 'at' | 'epoch' | 'revision'>,
  ): Promise<boolean> {
    const { destinationId: id, destinationName: name } = actor
    const last = this.#believed.get(id)
    const now = look.at.getTime()
    if (last !== undefined && now - last < believeEveryMs) return false
    const { epoch, revision } = look
    await this.#wentBack(epoch, { knownRevision, revision, noticedBy: { id, name } })
    this.#believed.set(id, now)
    return true
  }

  /** Closes those whose access key was revoked, has run out, or went with its destination. */
  async #checkKeys(links: Link[], now: Date): Promise<void> {
    if (links.length === 0) return
    const ids = [...new Set(links.map((link) => link.keyId))]
    const live = await this.#parts.db
      .select({ id: accessKeys.id, expiresAt: accessKeys.expiresAt })
      .from(accessKeys)
      .where(
        and(
          inArray(accessKeys.id, ids),
          isNull(accessKeys.endedAt),
          or(isNull(accessKeys.expiresAt), gt(accessKeys.expiresAt, now)),
        ),
      )
    const ends = new Map(live.map(({ id, expiresAt }) => [id, expiresAt]))
    for (const link of links) link.keyStands(ends.get(link.keyId))
  }
}
