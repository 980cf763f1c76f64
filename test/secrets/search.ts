/**
 * Finds any of very many credentials in very many texts, at some nanoseconds a byte: the last eight
 * bytes of each are looked up at every place of a text (Rabin and Karp), and only where they fit is
 * the whole compared.
 */
import { type Needle, shortest } from './needles.ts'
import type { Kind } from './record.ts'

const bits = 24

export class Searcher {
  /** Which hashes some needle's end has: 2 MB in which to look before anything else is asked. */
  readonly #ends = new Uint32Array(1 << (bits - 5))
  readonly #byEnd = new Map<number, Needle[]>()

  add(needle: Needle): void {
    let end = 0
    for (const byte of needle.bytes) end = push(end, byte)
    const fellows = this.#byEnd.get(end)
    if (fellows?.some(({ bytes }) => bytes.equals(needle.bytes))) return
    if (fellows) fellows.push(needle)
    else this.#byEnd.set(end, [needle])
    const at = bitOf(end)
    this.#ends[at >>> 5] = (this.#ends[at >>> 5] ?? 0) | (1 << (at & 31))
  }

  /** The kinds that stand in `text`, each with what it was found as. */
  find(text: Buffer): { kind: Kind; at: number; length: number }[] {
    const found: { kind: Kind; at: number; length: number }[] = []
    let end = 0
    for (let at = 0; at < text.length; at += 1) {
      end = push(end, text[at] ?? 0)
      const bit = bitOf(end)
      if (((this.#ends[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) continue
      for (const { kind, bytes } of this.#byEnd.get(end) ?? []) {
        const from = at + 1 - bytes.length
        if (from < 0 || text.compare(bytes, 0, bytes.length, from, at + 1) !== 0) continue
        found.push({ kind, at: from, length: bytes.length })
      }
    }
    return found
  }
}

/** Of the last eight bytes alone: what came before has been shifted out of 32 bits. */
function push(end: number, byte: number): number {
  return ((end << (32 / shortest)) + byte) | 0
}

/** Spread by Knuth's multiplier, because the low bits are those of the last bytes alone. */
function bitOf(end: number): number {
  return Math.imul(end, 0x9e3779b1) >>> (32 - bits)
}
