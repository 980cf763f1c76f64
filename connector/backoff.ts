/** How long to wait before trying again, and the waiting. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * A wait in milliseconds after `failures` failures in a row: anywhere between nothing and a limit
 * that doubles from `firstMs` to `mostMs` (full jitter), so that a hundred connectors whose server
 * came back do not all knock in the same instant.
 */
export function backoff(
  failures: number,
  { firstMs, mostMs }: { firstMs: number; mostMs: number },
  random: () => number = Math.random,
): number {
  return random() * Math.min(mostMs, firstMs * 2 ** Math.min(failures, 30))
}

/** Waits, or until `signal` is aborted; says whether the time passed. A day at the longest. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  // Timers hold 31 bits: a longer wait would end at once.
  const bounded = Math.min(Math.max(ms, 0), 86_400_000)
  try {
    await sleep(bounded, undefined, { signal })
    return true
  } catch {
    return false
  }
}
