/**
 * The stream of events to administrators: each message is one event. Resumed from the database by
 * the number last seen, with nothing kept in memory, and woken by the same NOTIFY as the hub.
 */
import type { Store } from './db/database.ts'
import { fromDatabase } from './db/errors.ts'
import { channel, eventsAfter } from './events.ts'
import { closing, maxBacklog, type Socket, type SocketEnd } from './sockets.ts'
import { Failure } from './wire/failure.ts'
import { log } from './wire/log.ts'

const batch = 500

export class Follow {
  readonly #store: Store
  readonly #readers = new Set<Reader>()
  #stop: (() => Promise<void>) | null = null

  constructor(store: Store) {
    this.#store = store
  }

  async open(): Promise<void> {
    this.#stop = await this.#store.listen(channel, () => {
      for (const reader of this.#readers) reader.wake()
    })
  }

  async close(): Promise<void> {
    await this.#stop?.()
    for (const reader of this.#readers) reader.end(closing.goingAway, 'the server is stopping')
    this.#readers.clear()
  }

  /**
   * Sends `socket` every event after `after`, now and as they come. `mayRead` throws a `Failure`
   * when the reader is no administrator any more; it is asked before each batch.
   */
  begin(socket: Socket, after: number, mayRead: () => Promise<void>): SocketEnd {
    const reader = new Reader(this.#store, socket, after, mayRead)
    this.#readers.add(reader)
    reader.wake()
    return {
      // A reader has nothing to say: its messages are not even parsed.
      message: () => {},
      closed: () => {
        reader.stop()
        this.#readers.delete(reader)
      },
    }
  }
}

class Reader {
  readonly #store: Store
  readonly #socket: Socket
  readonly #mayRead: () => Promise<void>
  #after: number
  #isWoken = false
  #isReading = false
  #isOver = false

  constructor(store: Store, socket: Socket, after: number, mayRead: () => Promise<void>) {
    this.#store = store
    this.#socket = socket
    this.#after = after
    this.#mayRead = mayRead
  }

  /** Reads on; while it reads already, once more after that. */
  wake(): void {
    this.#isWoken = true
    if (this.#isReading) return
    this.#isReading = true
    void this.#readOn()
  }

  stop(): void {
    this.#isOver = true
  }

  end(code: number, reason: string): void {
    if (this.#isOver) return
    this.stop()
    this.#socket.close(code, reason)
  }

  async #readOn(): Promise<void> {
    try {
      while (this.#isWoken && !this.#isOver) {
        this.#isWoken = false
        await this.#sendBatch()
      }
    } catch (thrown) {
      this.#fail(fromDatabase(thrown))
    } finally {
      this.#isReading = false
    }
  }

  async #sendBatch(): Promise<void> {
    const found = await eventsAfter(this.#store.db, this.#after, batch)
    if (found.length === 0) return
    await this.#mayRead()
    for (const event of found) {
      if (this.#isOver) return
      this.#socket.send(JSON.stringify(event))
      this.#after = event.number
    }
    this.#isWoken = this.#isWoken || found.length === batch
    if (this.#socket.backlog() > maxBacklog) this.end(closing.tooSlow, 'too slow')
  }

  /** The reader comes back by the number it saw last; a stream that is stuck would look alive. */
  #fail(error: unknown): void {
    if (error instanceof Failure && error.code !== 'unavailable') {
      this.end(closing.notAdmitted, error.message)
      return
    }
    log('error', 'the stream of events was cut', { error })
    this.end(closing.goingAway, 'the server cannot read its database')
  }
}
