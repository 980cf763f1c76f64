/** What goes wrong, by chance: one thing at a time for each whom it strikes, and put right again. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Random } from './random.ts'
import type { Connector } from './connector.ts'
import type { World } from './world.ts'

const weights = {
  swallow: 10,
  cut: 8,
  slow: 6,
  'kill connector': 5,
  'kill server': 5,
  'suspend server': 3,
  'kill database': 5,
  'shift the server’s clock': 3,
  'shift a connector’s clock': 3,
}
type Name = keyof typeof weights

const mostShiftMs = 600_000

export class Faults {
  readonly counts = new Map<string, number>()
  readonly #world: World
  readonly #random: Random
  readonly #struck = new Set<string>()
  readonly #running = new Set<Promise<void>>()

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
  }

  /** Strikes now and then until the signal, and waits until all is put right. */
  async storm(signal: AbortSignal, longOutage: string | null): Promise<void> {
    const outage = longOutage === null ? null : this.#world.connectors.get(longOutage)
    if (outage)
      this.#begin('swallow for longer than the lease', outage.name, () =>
        this.#silence(outage, signal),
      )
    while (!signal.aborted) {
      await pause(this.#random.between(300, 1_500), undefined, { signal }).catch(() => {})
      if (!signal.aborted) this.#strike(this.#random.weighed(weights))
    }
    for (const each of await Promise.allSettled(this.#running)) {
      if (each.status === 'rejected') throw each.reason
    }
  }

  #strike(name: Name): void {
    const random = this.#random
    const world = this.#world
    const connector = random.pick(world.connectors.values())
    const ms = random.between(500, 5_000)
    if (!connector) return
    const { name: whom } = connector
    switch (name) {
      case 'swallow':
        return this.#begin(name, whom, () => through(connector, () => connector.swallow(), ms))
      case 'cut':
        return this.#begin(name, whom, () => through(connector, () => connector.cut(), ms))
      case 'slow': {
        const byMs = random.between(50, 700)
        return this.#begin(name, whom, () => through(connector, () => connector.slow(byMs), ms))
      }
      case 'kill connector':
        return this.#begin(name, whom, async () => {
          await connector.kill()
          await pause(ms / 5)
          connector.start()
        })
      case 'kill server':
        return this.#begin(name, 'server', async () => {
          await world.killServer()
          await pause(ms / 3)
          await world.startServer()
        })
      case 'suspend server':
        return this.#begin(name, 'server', async () => {
          world.suspendServer(true)
          await pause(ms)
          world.suspendServer(false)
        })
      case 'kill database':
        if (!world.hasDatabase) return
        return this.#begin(name, 'database', async () => {
          await world.killDatabase()
          await pause(ms / 2)
          await world.startDatabase()
        })
      case 'shift the server’s clock':
        return this.#begin(name, 'server’s clock', async () =>
          world.setClock('server', this.#shift()),
        )
      case 'shift a connector’s clock':
        // A clock that jumps ends a lease at once: where a lease is to end by itself, none does.
        if (this.#struck.has(whom)) return
        return this.#begin(name, `${whom}’s clock`, async () => {
          world.setClock(whom, this.#shift())
        })
    }
  }

  /** Longer than its lease may be, so that it must end what it holds by itself. */
  async #silence(connector: Connector, signal: AbortSignal): Promise<void> {
    connector.swallow()
    await pause(3_600_000, undefined, { signal }).catch(() => {})
    connector.heal()
  }

  #shift(): number {
    if (this.#random.isLucky(0.2)) return 0
    return this.#random.between(-mostShiftMs, mostShiftMs)
  }

  #begin(name: string, whom: string, act: () => Promise<void>): void {
    if (this.#struck.has(whom)) return
    this.#struck.add(whom)
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    const running = act().finally(() => {
      this.#struck.delete(whom)
      this.#running.delete(running)
    })
    this.#running.add(running)
    running.catch(() => {})
  }
}

async function through(connector: Connector, strike: () => void, ms: number): Promise<void> {
  strike()
  await pause(ms)
  connector.heal()
}
