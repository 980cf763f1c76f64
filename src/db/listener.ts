/**
 * The one connection of this process that listens. Lost, it is made again for as long as the
 * process lives; silent, it counts as lost: packets can be swallowed without a word, and a frozen
 * database keeps its connections open.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres, { type Sql } from 'postgres'
import { Failure } from '../wire/failure.ts'
import { log } from '../wire/log.ts'
import { fromDatabase } from './errors.ts'

const pulseEveryMs = 2_000
/** A database that does not answer `select 1` for so long does no other work for us either. */
const silentAfterMs = 10_000
const againAfterMs = 500

/** Held in common by whoever listens, alone by a restore. Nothing else locks by this number. */
export const runningLock = 4_772_900

type Options = NonNullable<Parameters<typeof postgres>[1]>
type Connection = { client: Sql; lost: Promise<void> }

export class Listener {
  readonly #url: string
  readonly #options: Options
  readonly #silent: () => void
  readonly #channels = new Map<string, Set<() => void>>()
  readonly #closing = new AbortController()
  #starting: Promise<void> | null = null
  #keeping: Promise<void> | null = null
  #client: Sql | null = null

  /** `silent` is called when the database does not answer: whoever waits for it waits in vain. */
  constructor(url: string, options: Options, silent: () => void) {
    this.#url = url
    this.#options = options
    this.#silent = silent
  }

  /** Whether a NOTIFY would be heard now, as far as anybody can know. */
  get isListening(): boolean {
    return this.#client !== null
  }

  /** Calls `heard` at once, for each NOTIFY, and when a lost connection is back. */
  async listen(channel: string, heard: () => void): Promise<() => Promise<void>> {
    const listeners = this.#channels.get(channel) ?? new Set()
    const isNew = listeners.size === 0
    this.#channels.set(channel, listeners.add(heard))
    // Who cannot listen at the start says so, and does not start.
    const isFirst = this.#starting === null
    await (this.#starting ??= this.#start())
    if (isNew && !isFirst) await this.#begin(channel)
    heard()
    return async () => {
      listeners.delete(heard)
      if (listeners.size > 0) return
      this.#channels.delete(channel)
      await this.#client?.unsafe(`unlisten ${quoted(channel)}`).catch(() => null)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#client?.end({ timeout: 0 })
    await this.#keeping
  }

  async #start(): Promise<void> {
    const connection = await this.#open()
    this.#keeping = this.#keep(connection)
  }

  async #begin(channel: string): Promise<void> {
    if (!this.#client) throw new Failure('unavailable', 'the database cannot be reached')
    await this.#client.unsafe(`listen ${quoted(channel)}`)
  }

  /** Never rejects. */
  async #keep(first: Connection): Promise<void> {
    let connection: Connection | null = first
    while (connection) {
      await this.#watch(connection)
      this.#client = null
      if (this.#closing.signal.aborted) return
      log('warn', 'the connection that listens to the database is lost')
      await connection.client.end({ timeout: 0 })
      connection = await this.#openAgain()
    }
  }

  /** Until the connection is lost, or says nothing any more. */
  async #watch({ client, lost }: Connection): Promise<void> {
    for (;;) {
      const isLost = await within(pulseEveryMs, lost, this.#closing.signal)
      if (isLost || this.#closing.signal.aborted) return
      const answer = client.unsafe('select 1').then(
        () => true,
        () => false,
      )
      const isAnswered = await within(silentAfterMs, answer, this.#closing.signal)
      if (this.#closing.signal.aborted || isAnswered === false) return
      if (isAnswered === null) return this.#silent()
    }
  }

  async #openAgain(): Promise<Connection | null> {
    while (!this.#closing.signal.aborted) {
      await sleep(againAfterMs, null, { signal: this.#closing.signal, ref: false }).catch(
        () => null,
      )
      try {
        const connection = await this.#open()
        log('info', 'listening to the database again')
        // What was notified in between is lost: whoever listens looks again.
        for (const listeners of this.#channels.values()) for (const heard of listeners) heard()
        return connection
      } catch (thrown) {
        log('debug', 'the database cannot be listened to yet', { error: fromDatabase(thrown) })
      }
    }
    return null
  }

  /** Connected, listening to every channel, and marked as a running server. */
  async #open(): Promise<Connection> {
    let lose = (): void => {}
    const lost = new Promise<void>((resolve) => (lose = resolve))
    const client = postgres(this.#url, {
      ...this.#options,
      ...{ max: 1, idle_timeout: 0, max_lifetime: null, fetch_types: false },
      ...{ onclose: () => lose(), onnotify: (channel: string) => this.#heard(channel) },
    })
    try {
      await client.unsafe(`select pg_advisory_lock_shared(${runningLock})`)
      for (const channel of this.#channels.keys()) {
        await client.unsafe(`listen ${quoted(channel)}`)
      }
    } catch (error) {
      await client.end({ timeout: 0 })
      throw error
    }
    this.#client = client
    return { client, lost }
  }

  #heard(channel: string): void {
    for (const heard of this.#channels.get(channel) ?? []) heard()
  }
}

/** What `promise` gives (true where it gives nothing); null when the time is over or `signal` says so. */
async function within(
  ms: number,
  promise: Promise<boolean | void>,
  signal: AbortSignal,
): Promise<boolean | null> {
  const enough = new AbortController()
  const either = AbortSignal.any([signal, enough.signal])
  const late = sleep(ms, null, { signal: either, ref: false }).catch(() => null)
  const first = await Promise.race([promise.then((value) => value ?? true), late])
  enough.abort()
  return first
}

function quoted(channel: string): string {
  return `"${channel.replaceAll('"', '""')}"`
}
