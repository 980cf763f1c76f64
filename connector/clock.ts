/** Elapsed time that counts the machine's sleep, and the wall clock. */
import { readFileSync } from 'node:fs'

/** Elapsed milliseconds including the machine's sleep, and the wall clock: handed in. */
export type Clock = { elapsed(): number; wall(): number }

/** How far wall and monotonic clock may drift apart before the boot clock is read again. */
const driftMs = 20

/**
 * The monotonic clock stands still while the machine sleeps, so a lease would outlive its time by
 * every minute slept. Linux keeps a boot clock that goes on; it is read (a file) when the wall
 * clock moved against the monotonic one, which a sleep can not avoid. Where there is no such file,
 * the jump of the wall clock that `HeldAccess` looks for is all there is.
 */
class BootClock implements Clock {
  #drift = Date.now() - performance.now()
  /** What the monotonic clock lacks. */
  #lacking = bootMs() - performance.now()

  elapsed(): number {
    const monotonic = performance.now()
    const drift = Date.now() - monotonic
    if (Math.abs(drift - this.#drift) > driftMs) {
      this.#drift = drift
      // Never backwards: the file tells hundredths of a second, and a lease must not grow.
      this.#lacking = Math.max(this.#lacking, bootMs() - performance.now())
    }
    return monotonic + this.#lacking
  }

  wall(): number {
    return Date.now()
  }
}

function bootMs(): number {
  try {
    return Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * 1000
  } catch {
    return performance.now()
  }
}

export const systemClock: Clock = new BootClock()
