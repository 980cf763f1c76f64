/**
 * One side of a connection that passes through. Memory is bounded: bytes are read only while there
 * is somewhere to put them, so a reader that stalls stalls the writer.
 */
import type { Duplex } from 'node:stream'

/** The other end closed, or we did, before what was asked for had come. */
export class Gone extends Error {
  constructor() {
    super('the connection is gone')
    this.name = 'Gone'
  }
}

/** How much may wait unread before the other end is made to wait. */
const maxQueuedBytes = 64 * 1024
/** And in how many pieces: each costs more than the one byte that it may hold. */
const maxQueuedPieces = 64
/** How long an end that was told goodbye may take to read it. */
const farewellMs = 2_000

export class Side {
  /** Resolves when nothing passes in either direction any more. */
  readonly closed: Promise<void>
  /** Called once, when the other end says that it ends, or the connection closes. */
  onOver: (() => void) | null = null
  /** Called when bytes come that nobody waits for. */
  onUnasked: (() => void) | null = null
  /** Called before bytes that came are handed on; it may destroy this side, and then they are not. */
  onArrival: (() => void) | null = null
  /** Bytes that came from the other end, and bytes that were written to it. */
  taken = 0
  given = 0
  readonly #socket: Duplex
  /** Resolves when our direction has ended and nothing of it waits here. */
  readonly #finished: Promise<void>
  readonly #queue: Buffer[] = []
  #queuedBytes = 0
  #isPaused = false
  #ended = false
  #closed = false
  #discards = false
  #reader: ((bytes: Buffer | null) => void) | null = null
  #writers: (() => void)[] = []
  /** Who waits until the system has taken all that was written. */
  readonly #flushers: (() => void)[] = []

  constructor(socket: Duplex) {
    this.#socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    this.#finished = new Promise((resolve) => socket.once('finish', () => resolve()))
    socket.on('data', (bytes: Buffer) => this.#arrive(bytes))
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#close())
    socket.on('drain', () => this.#releaseWriters())
    // Whatever went wrong, 'close' follows, and there is nobody to tell but the other end.
    socket.on('error', () => this.destroy())
  }

  /** No more bytes will come after those already here. */
  get isOver(): boolean {
    return this.#ended || this.#closed
  }

  /** The other end said that it ends, as opposed to a connection that broke. */
  get hasEnded(): boolean {
    return this.#ended
  }

  get hasUnread(): boolean {
    return this.#queuedBytes > 0
  }

  /** The next bytes if some have come: what is there already need not be awaited. */
  take(): Buffer | null {
    const bytes = this.#queue.shift()
    if (!bytes) return null
    this.#queuedBytes -= bytes.length
    if (this.#isPaused && !this.#isFull) this.#resume()
    return bytes
  }

  /** The next bytes, or null when there are no more. One reader at a time. */
  read(): Promise<Buffer | null> {
    const bytes = this.take()
    if (bytes) return Promise.resolve(bytes)
    if (this.isOver || this.#discards) return Promise.resolve(null)
    return new Promise((resolve) => {
      this.#reader = resolve
    })
  }

  /** Puts back what was read too far: `bytes` from `at` on. */
  unread(bytes: Buffer, at = 0): void {
    if (at === bytes.length) return
    this.#queue.unshift(at === 0 ? bytes : bytes.subarray(at))
    this.#queuedBytes += bytes.length - at
  }

  /** null: there is room for more; else it resolves when there is. @throws {Gone} */
  write(bytes: Buffer | string): Promise<void> | null {
    if (this.#closed) throw new Gone()
    this.given += bytes.length
    const hasRoom = this.#socket.write(bytes, 'latin1', this.#sent)
    return hasRoom ? null : this.#room()
  }

  async #room(): Promise<void> {
    await new Promise<void>((resolve) => this.#writers.push(resolve))
    if (this.#closed) throw new Gone()
  }

  /** Whether some of what was written waits here. */
  get hasUnsent(): boolean {
    return this.#socket.writableLength > 0 && !this.#closed
  }

  /** Resolves when nothing that was written waits here any more, or never will go. */
  async flushed(): Promise<void> {
    while (this.hasUnsent) {
      await new Promise<void>((resolve) => this.#flushers.push(resolve))
    }
  }

  /** Ends our direction; the other goes on. */
  end(): void {
    if (!this.#closed) this.#socket.end()
  }

  /** Ends both directions at once, and whatever waits for either. */
  destroy(): void {
    this.#socket.destroy()
    this.#close()
  }

  /**
   * Ends after what was written has been read. What still comes in is thrown away: to close on
   * unread bytes resets the connection, and the other end would lose the answer. For a moment
   * only: whoever is shown out holds no place of ours by not reading.
   */
  async bidFarewell(): Promise<void> {
    this.#discards = true
    this.#queue.length = 0
    this.#queuedBytes = 0
    this.#tellReader(null)
    this.#resume()
    this.end()
    await this.#closesSoon()
  }

  /** Ends our direction, and the other soon after all that was written is on its way. */
  async leave(): Promise<void> {
    this.end()
    await Promise.race([this.#finished, this.closed])
    await this.#closesSoon()
  }

  async #closesSoon(): Promise<void> {
    const timer = setTimeout(() => this.destroy(), farewellMs)
    await this.closed
    clearTimeout(timer)
  }

  #arrive(bytes: Buffer): void {
    this.onArrival?.()
    if (this.#closed) return
    this.taken += bytes.length
    if (this.#discards || this.#tellReader(bytes)) return
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length
    if (this.#isFull) this.#pause()
    this.onUnasked?.()
  }

  #pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  #resume(): void {
    this.#isPaused = false
    this.#socket.resume()
  }

  #end(): void {
    if (this.isOver) return
    this.#ended = true
    this.#over()
  }

  #close(): void {
    if (this.#closed) return
    const wasOver = this.isOver
    this.#closed = true
    this.#releaseWriters()
    this.#releaseFlushers()
    if (!wasOver) this.#over()
  }

  #over(): void {
    this.#tellReader(null)
    this.onOver?.()
  }

  #tellReader(bytes: Buffer | null): boolean {
    const reader = this.#reader
    this.#reader = null
    reader?.(bytes)
    return reader !== null
  }

  get #isFull(): boolean {
    return this.#queuedBytes >= maxQueuedBytes || this.#queue.length >= maxQueuedPieces
  }

  /** One for all writes: to make one for each is a price that each request pays. */
  readonly #sent = (): void => {
    if (this.#flushers.length > 0 && this.#socket.writableLength === 0) this.#releaseFlushers()
  }

  #releaseFlushers(): void {
    for (const flusher of this.#flushers.splice(0)) flusher()
  }

  #releaseWriters(): void {
    const writers = this.#writers
    this.#writers = []
    for (const writer of writers) writer()
  }
}
