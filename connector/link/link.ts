/**
 * The link: the WebSocket to the server. It dials, says who it is, hands over each Access, says
 * when that is enforced, and asks for the beats that renew the lease.
 *
 * Nothing that comes or fails to come stops it: whatever is odd ends this one socket, and another
 * is dialled. A link can be dead without a word (packets swallowed, not refused), so silence ends
 * it as well.
 */
import type { RawData, WebSocket } from 'ws'
import type { Access, Delta } from '../../src/wire/access.ts'
import {
  type Beat,
  type FromConnector,
  fromServer,
  type Hello,
  maxProblemLength,
  maxProblems,
} from '../../src/wire/link.ts'
import type { HeldAccess } from '../access.ts'
import type { Clock } from '../clock.ts'
import type { Enforcer } from './enforcer.ts'
import { pingEveryMs, redialAfterMs, silentAfterMs } from './pace.ts'
import type { Log } from '../status.ts'

export type LinkParts = {
  /** Dials the server with the access key as it is now. */
  open: () => WebSocket
  hello: Pick<Hello, 'instance' | 'version' | 'endpoint'>
  access: HeldAccess
  enforcer: Enforcer
  clock: Clock
  /** Access is new, or its lease runs again. Called after the ack: nothing here delays it. */
  onAccess: () => void
  log: Log
  random?: () => number
}

/** One socket, from the dial on. Instants are in ms of `elapsed`. */
type Dialled = {
  socket: WebSocket
  isOpen: boolean
  /** When each ping was sent that has no beat yet. */
  pings: Map<number, number>
  pingedAt: number
  /** The last beat; before the first, when it was dialled or opened. */
  heardAt: number
  /** Beats in a row that renewed nothing. */
  barren: number
}

/** How often the clock is looked at: it counts the machine's sleep, which timers do not. */
const tickMs = 200
const dialMs = 15_000
/** Ours for: this connector stops, and holds nothing open (RFC 6455 leaves 4000 and up to us). */
const leaving = 4000
/** The server's word for: this access key has ended, or its destination is gone. */
const notAdmitted = 4401

export class Link {
  readonly #parts: LinkParts
  readonly #ticking: NodeJS.Timeout
  #dialled: Dialled | null = null
  #redialAt = 0
  #failures = 0
  /** Grows over all sockets, so a beat can be mistaken for no other. */
  #pingId = 0
  /** The server ended the last link because of our key; the next refusal confirms it. */
  #isInDoubt = false
  #lastReason = ''
  /** Null: nobody has looked yet. */
  #problems: string[] | null = null
  #isClosed = false

  /** Dials at once, and goes on until `close`. */
  constructor(parts: LinkParts) {
    this.#parts = parts
    this.#ticking = setInterval(() => this.#tick(), tickMs)
    this.#dial()
  }

  get state(): 'linked' | 'dialling' {
    return this.#dialled?.isOpen ? 'linked' : 'dialling'
  }

  /**
   * What is wrong in the cluster, told now and after each dial, also when it is nothing: the server
   * forgets it with a link, and who says nothing may not have looked yet.
   */
  report(problems: string[]): void {
    this.#problems = problems.slice(0, maxProblems).map((each) => each.slice(0, maxProblemLength))
    if (this.#dialled?.isOpen) this.#tellProblems(this.#dialled)
  }

  /** Says goodbye, so that the server knows at once; a second is enough for that. */
  async close(): Promise<void> {
    clearInterval(this.#ticking)
    this.#isClosed = true
    const socket = this.#dialled?.socket
    this.#dialled = null
    if (!socket) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 1000)
      socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      socket.close(leaving, 'the connector is stopping')
    })
    socket.terminate()
  }

  #tick(): void {
    const now = this.#parts.clock.elapsed()
    const dialled = this.#dialled
    if (!dialled) {
      if (now >= this.#redialAt) this.#dial()
      return
    }
    const { access } = this.#parts
    const pingMs = pingEveryMs(access.current?.leaseSeconds ?? null)
    const silentMs = dialled.isOpen ? silentAfterMs(pingMs) : dialMs
    if (now - dialled.heardAt >= silentMs) return this.#drop(dialled, 'the server is silent')
    // While nobody is let in, the next beat is waited for by people.
    const dueMs = access.lapse() === null ? pingMs : Math.min(pingMs, 1000)
    if (dialled.isOpen && now - dialled.pingedAt >= dueMs) this.#ping(dialled)
  }

  #dial(): void {
    const now = this.#parts.clock.elapsed()
    try {
      const socket = this.#parts.open()
      const pings = new Map<number, number>()
      const dialled = { socket, isOpen: false, pings, pingedAt: now, heardAt: now, barren: 0 }
      this.#dialled = dialled
      this.#attend(dialled)
    } catch (error) {
      this.#redialLater(error instanceof Error ? error.message : 'cannot dial', null)
    }
  }

  #attend(dialled: Dialled): void {
    const { socket } = dialled
    socket.on('open', () => this.#opened(dialled))
    socket.on('message', (raw, isBinary) => this.#received(dialled, raw, isBinary))
    socket.on('unexpected-response', (request, response) => {
      this.#drop(
        dialled,
        `the upgrade was answered with ${response.statusCode}`,
        response.statusCode,
      )
      request?.destroy?.()
    })
    // The listener stays when the socket is given up: an error without one ends the process.
    socket.on('error', (error) => this.#drop(dialled, error.message))
    socket.on('close', (code, reason) => {
      const isRefused = this.#dialled === dialled && code === notAdmitted
      this.#drop(dialled, `closed by the server: ${code} ${String(reason)}`.trim())
      if (isRefused) this.#doubt()
    })
  }

  #opened(dialled: Dialled): void {
    if (this.#dialled !== dialled) return
    const { hello, enforcer, clock, log } = this.#parts
    dialled.isOpen = true
    dialled.heardAt = clock.elapsed()
    this.#isInDoubt = false
    this.#lastReason = ''
    const { epoch = null, revision = null } = enforcer.known ?? {}
    this.#send(dialled, { kind: 'hello', ...hello, epoch, revision })
    this.#tellProblems(dialled)
    this.#ping(dialled)
    log('info', 'link up')
  }

  #received(dialled: Dialled, raw: RawData, isBinary: boolean): void {
    if (this.#dialled !== dialled) return
    try {
      const message = isBinary || !Buffer.isBuffer(raw) ? null : fromServer(raw.toString('utf8'))
      if (!message) return this.#drop(dialled, 'a message of another shape')
      if (message.kind === 'access') this.#take(dialled, message.access)
      else if (message.kind === 'delta') this.#change(dialled, message.delta)
      else this.#renew(dialled, message)
    } catch (error) {
      // Unacknowledged, so the server knows that it may not be enforced.
      this.#parts.log('error', 'a message of the server was not dealt with', { error })
      this.#drop(dialled, 'a message was not dealt with')
    }
  }

  /** The ack says that every stream which `next` does not let in is destroyed: it comes after. */
  #take(dialled: Dialled, next: Access): void {
    if (this.#parts.enforcer.take(next)) this.#taken(dialled, next)
  }

  #change(dialled: Dialled, delta: Delta): void {
    if (this.#parts.enforcer.change(delta)) this.#taken(dialled, delta)
  }

  #taken(dialled: Dialled, taken: Pick<Access, 'epoch' | 'revision'>): void {
    const { access, onAccess } = this.#parts
    this.#acknowledge(dialled, taken)
    if (dialled.barren > 0 || access.lapse() !== null) this.#ping(dialled)
    onAccess()
  }

  /** Access came by another way, and the server's end of the link should know what is held here. */
  overtaken(taken: { epoch: string; revision: number }): void {
    if (this.#dialled?.isOpen) this.#acknowledge(this.#dialled, taken)
  }

  #acknowledge(dialled: Dialled, { epoch, revision }: { epoch: string; revision: number }): void {
    const cut = this.#parts.enforcer.takeUnsaid()
    this.#send(dialled, { kind: 'ack', epoch, revision, ...cut })
  }

  #renew(dialled: Dialled, beat: Beat): void {
    const { access, clock, onAccess } = this.#parts
    const sentAt = dialled.pings.get(beat.id)
    if (sentAt === undefined) return this.#drop(dialled, 'a beat that answers no ping')
    dialled.pings.delete(beat.id)
    dialled.heardAt = clock.elapsed()
    const hadLapsed = access.lapse() !== null
    if (access.renew(beat, sentAt)) {
      dialled.barren = 0
      this.#failures = 0
      if (hadLapsed && access.lapse() === null) onAccess()
      return
    }
    // Once, the newer Access may be on its way. Twice, one of the two ends has lost the thread.
    dialled.barren += 1
    if (dialled.barren >= 2) this.#drop(dialled, 'beats speak of an access that never came')
  }

  #tellProblems(dialled: Dialled): void {
    if (this.#problems) this.#send(dialled, { kind: 'report', problems: this.#problems })
  }

  #ping(dialled: Dialled): void {
    const now = this.#parts.clock.elapsed()
    this.#pingId += 1
    dialled.pings.set(this.#pingId, now)
    dialled.pingedAt = now
    this.#send(dialled, { kind: 'ping', id: this.#pingId })
  }

  #send({ socket }: Dialled, message: FromConnector): void {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message))
  }

  /** Gives a socket up without waiting for it: what is silent would not answer a goodbye. */
  #drop(dialled: Dialled, reason: string, status: number | null = null): void {
    if (this.#dialled !== dialled || this.#isClosed) return
    this.#dialled = null
    this.#redialLater(reason, status)
    dialled.socket.terminate()
  }

  #redialLater(reason: string, status: number | null): void {
    const { clock, log, random } = this.#parts
    const isRefused = status === 401 || status === 403
    const waitMs = redialAfterMs({ failures: this.#failures, isRefused }, random)
    this.#redialAt = clock.elapsed() + waitMs
    this.#failures += 1
    if (reason !== this.#lastReason) log(isRefused ? 'error' : 'warn', 'link down', { reason })
    this.#lastReason = reason
    if (!this.#isInDoubt || !isRefused) return
    this.#isInDoubt = false
    this.#parts.enforcer.dismiss()
  }

  /** Asks at once whether our key has ended, or was exchanged; but once, should that be all it says. */
  #doubt(): void {
    this.#isInDoubt = true
    if (this.#failures <= 1) this.#redialAt = this.#parts.clock.elapsed()
  }
}
