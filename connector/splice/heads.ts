/** Heads, as they come: in one piece, or in as many as somebody likes to send. */
import { headEnd } from '../door/http1.ts'
import type { Side } from './side.ts'

/** The next head, as text with its blank line, if it has come whole and in one piece; else null. */
export function headInHand(side: Side): string | null {
  const bytes = side.take()
  const end = bytes ? headEnd(bytes, 0) : -1
  if (!bytes) return null
  side.unread(bytes, Math.max(0, end))
  return end < 0 ? null : bytes.toString('latin1', 0, end)
}

/**
 * The next head, as text with its blank line; null when the connection ends before it is whole.
 * `early` may refuse what is there so far.
 */
export async function readHead(
  side: Side,
  early: (bytes: Buffer, seen: number) => void = () => {},
): Promise<string | null> {
  let gathered: Gathered | null = null
  let bytes = await side.read()
  for (let seen = 0; bytes !== null;) {
    const end = headEnd(bytes, seen)
    if (end >= 0) {
      side.unread(bytes, end)
      return bytes.toString('latin1', 0, end)
    }
    early(bytes, seen)
    // Most come in one piece, and nothing is gathered.
    gathered ??= new Gathered(bytes)
    seen = bytes.length
    const more = await side.read()
    bytes = more && gathered.add(more)
  }
  return null
}

/** Bytes in one piece. Its room doubles: what comes byte by byte is not copied whole at each. */
class Gathered {
  #room: Buffer
  #length: number

  constructor(first: Buffer) {
    this.#room = first
    this.#length = first.length
  }

  add(more: Buffer): Buffer {
    const length = this.#length + more.length
    if (length > this.#room.length) this.#room = Buffer.concat([this.#room], 2 * length)
    more.copy(this.#room, this.#length)
    this.#length = length
    return this.#room.subarray(0, length)
  }
}
