/** A WebSocket as the rest of the server sees it: `serve.ts` makes them, of Bun's or of Node's. */

export type Socket = {
  send(text: string): void
  close(code: number, reason: string): void
  /** Bytes that the reader has not taken yet: what tells a slow reader. */
  backlog(): number
}

export type SocketEnd = {
  message(text: string): void
  /** With the code of RFC 6455 section 7.4 that it was closed by. */
  closed(code: number): void
}

/** What comes with every request beside it. */
export type Peer = {
  /** The address of the socket's other end. */
  address: string
  /** Makes the request a WebSocket; null where it does not ask for one. */
  upgrade: ((begin: (socket: Socket) => SocketEnd) => Response) | null
}

/** Close codes of ours (RFC 6455 section 7.4.2 leaves 4000 and up to applications). */
export const closing = {
  goingAway: 1001,
  badMessage: 1008,
  /** The credential was revoked, or what it was for is gone. */
  notAdmitted: 4401,
  tooSlow: 4408,
  /** A connector's: it stops, and has cut all that it had open. */
  leaving: 4000,
} as const

/** A reader this far behind is dropped: it comes back and reads what it missed. */
export const maxBacklog = 8 * 1024 * 1024
