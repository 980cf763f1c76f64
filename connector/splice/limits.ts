/** What the door takes at once and how long it waits: settings, so that a small machine takes less. */
import { maxHeadBytes } from '../door/http1.ts'

/** A token of ours, and what kubectl says beside it, must find room. */
export const leastHeadBytes = 16 * 1024

export type Limits = {
  /** Connections in all, and how many of them may be strangers': nobody's who was ever let in. */
  connections: number
  strangers: number
  /** Requests that one user may have open: client-go opens a connection for every watch. */
  streamsPerUser: number
  /** The longest head of a request. With `strangers` it bounds what strangers can make us keep. */
  headBytes: number
  /** How long each may take: a handshake, the wait for the first request after it, a head. */
  headMs: number
  /** How long a connection may be quiet between requests; within one it may be for ever. */
  idleMs: number
  /** How long it may take until the API server can be asked. */
  dialMs: number
  /** How long the API server may take to begin an answer, where it sets itself a limit as well. */
  answerMs: number
}

export const defaultLimits: Limits = {
  connections: 10_000,
  strangers: 1_000,
  streamsPerUser: 1_000,
  headBytes: maxHeadBytes,
  headMs: 10_000,
  idleMs: 90_000,
  dialMs: 10_000,
  answerMs: 120_000,
}
