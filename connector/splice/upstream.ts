/**
 * Connections to the API server: dialled when needed, kept for their user's next request.
 *
 * A kept connection carries one user's requests only. It is kept after an answer that ended where
 * its head said, and closed on any doubt: what an earlier answer left over would be taken for the
 * next one.
 */
import tls from 'node:tls'
import { throughProxy } from '../../src/wire/tunnel.ts'
import { Patience, type Wait } from './patience.ts'
import { Side } from './side.ts'
import { Refusal } from '../status.ts'

export type UpstreamTarget = {
  host: string
  port: number
  /** The name on its certificate, where that is not `host`. */
  servername?: string
  tls: { ca: string; cert?: string; key?: string }
  /** The proxy that leads to it; absent or null: none. */
  proxy?: URL | null
  /** The token of the connector's own account; null: there is none, or a client certificate. */
  credential(): string | null
}

/** Below the 90 s after which an API server closes an idle connection, perhaps as it is used. */
const keptMs = 45_000
const maxKept = 1_000
const maxKeptPerUser = 16
const keepAliveMs = 30_000

/** A connection in use: given back by `park`, or destroyed. */
export type Upstream = { side: Side; userId: string; target: UpstreamTarget }
type Kept = Upstream & { wait: Wait }

/** Opens a connection; `giveUp` is handed what ends the attempt, should nobody want it any more. */
export type Dial = (
  target: UpstreamTarget,
  dialMs: number,
  giveUp: (end: () => void) => void,
) => Promise<Side>

export class UpstreamPool {
  readonly #target: () => UpstreamTarget
  readonly #dialMs: number
  readonly #dial: Dial
  readonly #patience = new Patience(keptMs)
  /** The newest of each user's last. */
  readonly #kept = new Map<string, Kept[]>()
  #count = 0

  /** `target` is asked at each use, so that a rotated CA or certificate needs no restart. */
  constructor(target: () => UpstreamTarget, dialMs: number, dial: Dial = dialSecurely) {
    this.#target = target
    this.#dialMs = dialMs
    this.#dial = dial
  }

  get target(): UpstreamTarget {
    return this.#target()
  }

  /** One that is kept, at once, or one that is dialled. @throws {Refusal} 502 when the API server can not be reached. */
  connect(userId: string, giveUp: (end: () => void) => void): Upstream | Promise<Upstream> {
    const target = this.#target()
    for (let kept = this.#take(userId); kept; kept = this.#take(userId)) {
      if (kept.target === target || isSame(kept.target, target)) return kept
      kept.side.destroy()
    }
    const dialled = this.#dial(target, this.#dialMs, giveUp)
    return dialled.then((side) => ({ side, userId, target }))
  }

  /** Keeps a connection whose answer is complete, or closes it. */
  park({ side, userId, target }: Upstream): void {
    const own = this.#kept.get(userId) ?? []
    const isFull = this.#count >= maxKept || own.length >= maxKeptPerUser
    if (isFull || side.isOver || side.hasUnread) return side.destroy()
    const wait = this.#patience.begin(() => side.destroy())
    const kept = { side, userId, target, wait }
    own.push(kept)
    this.#kept.set(userId, own)
    this.#count += 1
    side.onOver = () => this.#drop(kept)
    // Nothing was asked, so whatever comes is an answer to somebody else's question.
    side.onUnasked = side.onOver
  }

  close(): void {
    // Of a copy: each that is destroyed leaves the list that it stands in.
    for (const { side } of [...this.#kept.values()].flat()) side.destroy()
  }

  #take(userId: string): Kept | null {
    const kept = this.#kept.get(userId)?.at(-1)
    if (!kept) return null
    this.#forget(kept)
    return kept
  }

  #drop(kept: Kept): void {
    this.#forget(kept)
    kept.side.destroy()
  }

  #forget(kept: Kept): void {
    const own = this.#kept.get(kept.userId) ?? []
    const at = own.lastIndexOf(kept)
    if (at < 0) return
    own.splice(at, 1)
    if (own.length === 0) this.#kept.delete(kept.userId)
    this.#count -= 1
    this.#patience.end(kept.wait)
    kept.side.onOver = null
    kept.side.onUnasked = null
  }
}

/** `Host` of requests to `target`: of names and addresses, only those of IPv6 hold a colon. */
export function hostOf({ host, port }: UpstreamTarget): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Whether a connection to `a` is what a connection to `b` would be, credentials apart. */
function isSame(a: UpstreamTarget, b: UpstreamTarget): boolean {
  const isPlaceSame = a.host === b.host && a.port === b.port && a.servername === b.servername
  return isPlaceSame && a.tls.ca === b.tls.ca && a.tls.cert === b.tls.cert
}

async function dialSecurely(
  target: UpstreamTarget,
  dialMs: number,
  giveUp: (end: () => void) => void,
): Promise<Side> {
  const { host, port, proxy } = target
  const options = secureOptions(target)
  let end = () => {}
  const timer = setTimeout(() => end(), dialMs)
  const ends = (given: () => void) => giveUp((end = given))
  try {
    if (!proxy) return new Side(await dialDirectly({ host, port, ...options }, ends))
    return new Side(await throughProxy(proxy, { host, port, tls: options }, ends))
  } catch (cause) {
    throw new Refusal(502, 'the API server of this cluster can not be reached', { cause })
  } finally {
    clearTimeout(timer)
  }
}

function secureOptions({ tls: secrets, servername }: UpstreamTarget) {
  return {
    ...secrets,
    ...(servername === undefined ? {} : { servername }),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2' as const,
    allowHalfOpen: true,
  } satisfies tls.ConnectionOptions & { allowHalfOpen: boolean }
}

function dialDirectly(
  options: tls.ConnectionOptions,
  giveUp: (end: () => void) => void,
): Promise<tls.TLSSocket> {
  const socket = tls.connect(options)
  // Each keystroke of a shell is a small write: it must not wait for the one before it.
  socket.setNoDelay(true)
  // A quiet watch is not idle: this keeps balancers from forgetting it, and notices a dead host.
  socket.setKeepAlive(true, keepAliveMs)
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      socket.destroy()
      reject(cause)
    }
    giveUp(() => fail(new Error('it took too long, or nobody waits for it any more')))
    socket.on('error', fail)
    socket.once('secureConnect', () => {
      socket.off('error', fail)
      resolve(socket)
    })
  })
}
