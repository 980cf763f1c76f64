/** From one side to the other: one body behind its head, all that comes, or both ways at once. */
import type { Body } from './body.ts'
import { Gone, type Side } from './side.ts'

/**
 * Passes one body on behind its head, and nothing of what follows it. What of it has come already
 * goes with the head: a write is a record of TLS and a packet, and costs more than all else here.
 *
 * null: all of it was there, and is on its way.
 *
 * @throws {Gone} when it was cut short.
 */
export function pass(from: Side, to: Side, body: Body, head: string): Promise<void> | null {
  const bytes = body.done ? null : from.take()
  const full = to.write(bytes ? behind(head, taken(from, body, bytes)) : head)
  return body.done ? full : passRest(from, to, body, full)
}

async function passRest(from: Side, to: Side, body: Body, full: Promise<void> | null) {
  if (full) await full
  while (!body.done) {
    const bytes = from.take() ?? (await from.read())
    if (bytes === null) throw new Gone()
    const passed = taken(from, body, bytes)
    const wait = passed.length > 0 ? to.write(passed) : null
    if (wait) await wait
  }
}

/** What of `bytes` is the body's; the rest goes back. */
function taken(from: Side, body: Body, bytes: Buffer): Buffer {
  const count = body.take(bytes)
  if (count === bytes.length) return bytes
  from.unread(bytes, count)
  return bytes.subarray(0, count)
}

function behind(head: string, bytes: Buffer): Buffer {
  const both = Buffer.allocUnsafe(head.length + bytes.length)
  both.write(head, 'latin1')
  both.set(bytes, head.length)
  return both
}

/** Passes on what comes until it properly ends. @throws {Gone} when it was cut short. */
export async function passAll(from: Side, to: Side, head = ''): Promise<void> {
  if (head !== '') await to.write(head)
  for (let bytes = await from.read(); bytes !== null; bytes = await from.read()) {
    await to.write(bytes)
  }
  if (!from.hasEnded) throw new Gone()
}

/**
 * Joins two sides until both are closed. Each may end its own direction first, and the other goes
 * on (half-close): the last bytes of a shell come after the end of its input. When one closes
 * altogether, the other has a moment to read what was written to it, and is closed too.
 *
 * Resolves with the one that said first that it ends.
 */
export async function splice(a: Side, b: Side): Promise<Side> {
  let first: Side | null = null
  const ended = (side: Side) => {
    first ??= side
  }
  await Promise.all([flow(a, b, ended), flow(b, a, ended)])
  return first ?? a
}

async function flow(from: Side, to: Side, ended: (side: Side) => void): Promise<void> {
  // Cut short or refused, the rest is the same: this direction is over.
  await passAll(from, to).catch(() => {})
  if (from.isOver) ended(from)
  to.end()
  await from.closed
  await to.leave()
}
