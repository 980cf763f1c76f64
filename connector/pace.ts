/** The pace of the link: how often it asks, how long it bears silence, when it dials again. */
import { backoff } from './backoff.ts'

const beforeAccessMs = 5_000

/**
 * The time between two pings: three fit into a lease, so that two may be lost. At least a second;
 * at most half a minute, because a ping is also how a dead link is found.
 *
 * @example
 * pingEveryMs(15) // 5000
 */
export function pingEveryMs(leaseSeconds: number | null): number {
  if (leaseSeconds === null) return beforeAccessMs
  return Math.max(1_000, Math.min(30_000, (leaseSeconds * 1000) / 3))
}

/** After this long without a beat a link is dead, whatever its socket believes. */
export function silentAfterMs(pingMs: number): number {
  return Math.max(5_000, 2 * pingMs)
}

/**
 * How long to wait before dialling again. A server that refuses the key will refuse it again: it
 * is asked slowly, but asked, since a key may be exchanged and a refusal mistaken.
 */
export function redialAfterMs(
  { failures, isRefused }: { failures: number; isRefused: boolean },
  random: () => number = Math.random,
): number {
  if (isRefused) return 30_000
  return backoff(failures, { firstMs: 2_000, mostMs: 15_000 }, random)
}
