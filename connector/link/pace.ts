/** The pace of the link: how often it asks, how long it bears silence, when it dials again. */
import { backoff } from '../backoff.ts'

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

/**
 * How long until the next poll: its interval, but at least three times in a lease, so that the poll
 * alone keeps it running though one is lost; up to a fifth sooner, because a hundred connectors
 * that were started together must not ask together for ever. While nobody is let in, people wait.
 *
 * @example
 * pollEveryMs({ intervalSeconds: 300, leaseSeconds: 15, hasLapsed: false }) // 4000 to 5000
 */
export function pollEveryMs(
  {
    intervalSeconds,
    leaseSeconds,
    hasLapsed,
  }: { intervalSeconds: number; leaseSeconds: number | null; hasLapsed: boolean },
  random: () => number = Math.random,
): number {
  const leaseMs = leaseSeconds === null ? Infinity : leaseSeconds * 1000
  const mostMs = hasLapsed ? beforeAccessMs : Infinity
  return Math.min(intervalSeconds * 1000, leaseMs / 3, mostMs) * (1 - random() / 5)
}

/** How long a link has to come, or to come back, before the poll asks in its place. */
export function pollSoonMs(random: () => number = Math.random): number {
  return 1_000 + 2_000 * random()
}

/**
 * How long to wait after a poll that failed. The first refusal of the key is asked about again
 * soon: the second confirms it, and from then on the server is asked slowly.
 */
export function askAgainAfterMs(
  { failures, refusals, everyMs }: { failures: number; refusals: number; everyMs: number },
  random: () => number = Math.random,
): number {
  if (refusals === 1) return 1_000
  if (refusals > 1) return 30_000
  return Math.min(everyMs, 500 + backoff(failures, { firstMs: 1_000, mostMs: 30_000 }, random))
}
