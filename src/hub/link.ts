/** The server's end of one link: what its connector was sent, and whether that still holds. */
import type { ConnectorActor } from '../call.ts'
import type { Database } from '../db/database.ts'
import { fromDatabase } from '../db/errors.ts'
import type { Batches } from '../db/batches.ts'
import { recordEndpoint } from './hello.ts'
import type { Look } from './look.ts'
import type { LostEvents } from './lost.ts'
import type { Marks } from './marks.ts'
import { Meeting } from './meeting.ts'
import type { Receipt } from './receipt.ts'
import type { Receipts } from './receipts.ts'
import { Sent } from './sent.ts'
import type { Access } from '../wire/access.ts'
import type { Settings } from '../settings.ts'
import type { Troubles } from './troubles.ts'
import { closing, maxBacklog, type Socket } from '../sockets.ts'
import { fromConnector, type FromServer, type Hello } from '../wire/link.ts'
import { log } from '../wire/log.ts'

export type LinkParts = {
  db: Database
  settings: Pick<Settings, 'url' | 'leaseSeconds'>
  clock: () => Date
  receipts: Receipts
  marks: Marks
  troubles: Troubles
  /** Reads Access by the id of a destination; `now` is when. */
  reads: Batches<string, { now: Date; access: Access | null }>
  actor: ConnectorActor
  socket: Socket
  /** Looks at the database from now on, tells every link, and gives what it found. */
  look(): Promise<Look>
  /** The same, in a moment and for many at once. */
  lookSoon(): Promise<Look>
  /** Whether the next change would be heard of. */
  isListening(): boolean
  /** The connector knows a later revision than was found; false where it is not believed. */
  ahead: LostEvents['claimed']
  /** Looks again soon. */
  retry(): void
}

export class Link {
  readonly #parts: LinkParts
  /** Null until the connector has said hello: until then it is told nothing. */
  #receipt: Receipt | null = null
  #meeting: Meeting | null = null
  #sent: Sent | null = null
  /** The revision that Access was read at last. */
  #readAt = -1
  /** The newest event that concerns this destination: while it is past `#readAt`, we are stale. */
  #concernedAt = 0
  /** The newest event that was looked at. */
  #lookedAt = 0
  /** Looks that concern this destination, and came while Access was read. */
  #missed: Look[] = []
  /** Since when ended sessions are told has moved: all is read anew, about once a day. */
  #isAged = false
  #isRefreshing = false
  #reading: Promise<void> = Promise.resolve()
  #keyEndsAt = Infinity
  #isOver = false

  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  get destinationId(): string {
    return this.#parts.actor.destinationId
  }

  get keyId(): string {
    return this.#parts.actor.keyId
  }

  /** Until then it is told nothing, so that its key need not be looked at. */
  get hasGreeted(): boolean {
    return this.#meeting !== null
  }

  /** Until when the key stands; null: for good; undefined: it does not. */
  keyStands(until: Date | null | undefined): void {
    this.#keyEndsAt = until === undefined ? 0 : (until?.getTime() ?? Infinity)
    if (until === undefined) this.#endByKey()
  }

  receive(text: string): void {
    if (this.#isOver) return
    const message = fromConnector(text)
    if (!message) return this.close(closing.badMessage, 'a message of another shape')
    if (message.kind === 'hello') return this.#greet(message)
    if (!this.#receipt) return this.close(closing.badMessage, 'hello comes first')
    if (message.kind === 'ping') return void this.#beat(message.id)
    if (message.kind === 'report') return this.#report(this.#receipt, message.problems)
    if (message.epoch !== this.#sent?.epoch) return
    this.#parts.receipts.acknowledged(this.#receipt, message)
    if (message.revision > this.#sent.since) this.#resend()
  }

  #report(receipt: Receipt, problems: string[]): void {
    receipt.reported(problems)
    this.#parts.troubles.reported(this.#parts.actor)
  }

  /** Told of every look that concerns it, and of one at each of its pings. */
  looked(look: Look): void {
    if (!this.#meeting?.hasMet || this.#isOver) return
    if (look.at.getTime() >= this.#keyEndsAt) return this.#endByKey()
    const sent = this.#sent
    if (sent && sent.epoch !== look.epoch) return this.#leaveEpoch()
    this.#isAged = sent?.isAged(look.at) ?? false
    const concernedAt = look.concerns(this.destinationId)
    if (concernedAt > this.#readAt) this.#missed.push(look)
    this.#concernedAt = Math.max(this.#concernedAt, concernedAt)
    this.#lookedAt = Math.max(this.#lookedAt, look.revision)
    if (!this.#isRefreshing) this.#catchUp()
    this.#verify()
    this.#refresh()
  }

  close(code: number, reason: string): void {
    if (this.#isOver) return
    this.detach()
    this.#parts.socket.close(code, reason)
  }

  /** Called once or twice: by the end that closes, and by the socket when it is closed. */
  detach(code?: number): void {
    if (!this.#isOver && this.#receipt) this.#parts.receipts.unlink(this.#receipt)
    if (!this.#isOver && this.#receipt && code === closing.leaving) {
      void this.#parts.marks.left(this.#parts.actor, this.#receipt)
      // What it alone found wrong went with it.
      this.#parts.troubles.reported(this.#parts.actor)
    }
    this.#isOver = true
  }

  get #isStale(): boolean {
    return this.#readAt < this.#concernedAt || this.#isAged
  }

  #greet(hello: Hello): void {
    if (this.#receipt) return this.close(closing.badMessage, 'hello comes once')
    const { actor, db, clock, receipts, ahead } = this.#parts
    this.#meeting = new Meeting(actor, hello, ahead)
    this.#receipt = receipts.link(actor.destinationId, hello.instance, hello)
    const facts = { destination: actor.destinationName, instance: hello.instance }
    log('info', 'a connector is linked', { ...facts, version: hello.version })
    void this.#meet()
    recordEndpoint(db, actor, clock(), hello.endpoint).catch((thrown: unknown) => {
      log('error', 'an endpoint was not recorded', { ...facts, error: fromDatabase(thrown) })
    })
  }

  /**
   * The connector took an Access that this link never sent: the poll was before us. What was sent
   * here last says nothing any more, even if Access should be that again by now.
   */
  #resend(): void {
    this.#sent = null
    this.#refresh()
  }

  /** A look rather than a read: it also finds a key that ended since this link was let in. */
  async #meet(): Promise<void> {
    try {
      await this.#compare(await this.#parts.lookSoon())
    } catch (thrown) {
      const { destinationName } = this.#parts.actor
      const error = fromDatabase(thrown)
      log('error', 'a connector waits', { destination: destinationName, error })
      // The connector's next ping tries again.
      this.#parts.retry()
    }
  }

  async #compare(look: Look): Promise<void> {
    const meeting = this.#isOver ? null : this.#meeting
    const found = meeting?.judge(look)
    if (found === 'met') return this.looked(look)
    if (!meeting || found !== 'ahead') return
    const isBelieved = await meeting.claim(look)
    if (!isBelieved) return this.close(closing.badMessage, 'a revision that never was')
    // In the new epoch, nobody is ahead.
    await this.#compare(await this.#parts.look())
  }

  #endByKey(): void {
    this.close(closing.notAdmitted, 'the access key has ended')
  }

  /** Revisions of two epochs do not compare: the connector begins anew. */
  #leaveEpoch(): void {
    this.close(closing.goingAway, 'the database is another one')
  }

  /** One read and send at a time: two overlapping sends could arrive newest first. */
  #refresh(): void {
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    void this.#refreshAll()
  }

  async #refreshAll(): Promise<void> {
    try {
      while ((this.#isStale || !this.#sent) && !this.#isOver) {
        this.#reading = this.#refreshOnce()
        await this.#reading
      }
    } catch (thrown) {
      const { destinationName } = this.#parts.actor
      const error = fromDatabase(thrown)
      log('error', 'access cannot be read', { destination: destinationName, error })
      this.#parts.retry()
    } finally {
      this.#isRefreshing = false
    }
  }

  async #refreshOnce(): Promise<void> {
    const { now, access } = await this.#parts.reads.ask(this.destinationId)
    if (this.#isOver) return
    if (!access) return this.close(closing.notAdmitted, 'there is no such destination')
    const sent = this.#sent
    if (sent && sent.epoch !== access.epoch) return this.#leaveEpoch()
    if (access.revision < this.#readAt) throw new Error('the database has lost events')
    this.#sent = new Sent(access, now)
    this.#isAged = this.#sent.isAged(this.#parts.clock())
    this.#readAt = access.revision
    if (sent?.digest === this.#sent.digest) {
      this.#sent.continues(sent)
    } else {
      this.#receipt?.sent(access)
      this.#send({ kind: 'access', access })
    }
    this.#catchUp()
    this.#verify()
  }

  /** Tells what changed meanwhile. Where that is not known we stay stale, and all is read anew. */
  #catchUp(): void {
    for (const look of this.#missed.splice(0)) {
      if (look.revision > this.#readAt && !this.#tell(look)) return
    }
  }

  #tell(look: Look): boolean {
    const sent = this.#sent
    const delta = sent?.follow(look) ?? 'unknown'
    if (!sent || delta === 'unknown') return false
    this.#readAt = look.revision
    if (delta === 'nothing') return true
    this.#receipt?.sent({ ...sent.head, revision: delta.revision })
    this.#send({ kind: 'delta', delta })
    return true
  }

  /** What was sent last is all there is, up to what was read or looked at without a concern. */
  #verify(): void {
    if (this.#isStale || !this.#sent) return
    this.#receipt?.verified(this.#sent.since, Math.max(this.#readAt, this.#lookedAt))
  }

  /** No beat where the database cannot be read: contact alone renews nothing. */
  async #beat(id: number): Promise<void> {
    try {
      const look = await this.#parts.lookSoon()
      await this.#compare(look)
      this.looked(look)
      const { at, epoch, revision } = look
      // Later changes do not hold this beat up: it speaks of what was so at `at`.
      const needed = this.#concernedAt
      while ((this.#readAt < needed || !this.#sent) && this.#isRefreshing) await this.#reading
      const sent = this.#sent
      if (sent?.epoch !== epoch || this.#readAt < needed || this.#isOver) return
      // Whoever would not hear of the next change vouches for nothing.
      if (!this.#receipt || !this.#parts.isListening()) return
      this.#receipt.beaten(at)
      // Before the lease is renewed: a server that is killed now still knows who may have one.
      await this.#parts.marks.heard(this.#parts.actor, this.#receipt, 'link')
      const upTo = Math.max(this.#readAt, revision)
      const { since, digest } = this.#sent ?? sent
      const said = { kind: 'beat', id, at: at.toISOString(), epoch, revision: upTo } as const
      this.#send({ ...said, since, digest })
    } catch (thrown) {
      const { destinationName } = this.#parts.actor
      const error = fromDatabase(thrown)
      log('error', 'a ping is not answered', { destination: destinationName, error })
    }
  }

  #send(message: FromServer): void {
    this.#parts.socket.send(JSON.stringify(message))
    if (this.#parts.socket.backlog() > maxBacklog) this.close(closing.tooSlow, 'too slow')
  }
}
