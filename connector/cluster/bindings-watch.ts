/**
 * Hears when somebody touches the bindings of a destination. What happened to them is not read:
 * whoever hears of it looks at all of them. A watch that ends is begun anew, and begins with what
 * is there, so nothing that happened in between is missed.
 */
import { backoff, pause } from '../backoff.ts'
import { bindingKinds, bindingsPath } from './binding.ts'

/** Follows an answer that does not end: calls `heard` for what comes, resolves when it ends. */
export type Follow = (path: string, heard: () => void, signal: AbortSignal) => Promise<void>

export class BindingsWatch {
  readonly #follow: Follow
  readonly #touched: () => void
  readonly #stopping = new AbortController()
  #destinationId: string | null = null

  constructor(follow: Follow, touched: () => void) {
    this.#follow = follow
    this.#touched = touched
  }

  /** Watches the bindings of this destination from now on: a connector serves one and no other. */
  begin(destinationId: string): void {
    if (this.#destinationId !== null) return
    this.#destinationId = destinationId
    for (const kind of bindingKinds) void this.#keep(`${bindingsPath(kind, destinationId)}&watch=1`)
  }

  close(): void {
    this.#stopping.abort()
  }

  /** Without the right to watch it goes on trying, seldom: the look of every minute does the work. */
  async #keep(path: string): Promise<void> {
    const { signal } = this.#stopping
    for (let failures = 0; !signal.aborted; failures += 1) {
      const heard = () => {
        failures = 0
        this.#touched()
      }
      await this.#follow(path, heard, signal).catch(() => {})
      // An API server that is gone is noticed by this first, and told by whoever looks.
      if (failures === 0 && !signal.aborted) this.#touched()
      await pause(backoff(failures, { firstMs: 1000, mostMs: 60_000 }), signal)
    }
  }
}
