/** A connection without a network: what is written at one end is read at the other. */
import { Duplex } from 'node:stream'

export class End extends Duplex {
  /** Bytes that moved through either end: who waits for quiet looks at it. */
  readonly #moved: { bytes: number }
  #other: End | null = null
  /** Told when what was written has been taken. */
  #taken: ((error?: Error) => void) | null = null

  constructor(moved: { bytes: number }) {
    super({ allowHalfOpen: true })
    this.#moved = moved
  }

  join(other: End): void {
    this.#other = other
  }

  override _read(): void {
    if (this.#other) this.#other.#release()
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const other = this.#other
    if (!other || other.destroyed) return done(new Error('the other end is gone'))
    this.#moved.bytes += bytes.length
    if (bytes.length === 0) return done()
    this.#taken = done
    if (other.push(bytes)) this.#release()
  }

  override _final(done: (error?: Error) => void): void {
    this.#moved.bytes += 1
    if (this.#other && !this.#other.destroyed) this.#other.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#moved.bytes += 1
    const other = this.#other
    this.#release(new Error('the connection is gone'))
    if (other && !other.destroyed) {
      other.#release(new Error('the other end is gone'))
      if (!other.readableEnded && !this.writableFinished) other.push(null)
    }
    done(error)
  }

  #release(error?: Error): void {
    const taken = this.#taken
    this.#taken = null
    taken?.(error)
  }
}

export function pipe(moved: { bytes: number }): [End, End] {
  const [near, far] = [new End(moved), new End(moved)]
  near.join(far)
  far.join(near)
  return [near, far]
}
