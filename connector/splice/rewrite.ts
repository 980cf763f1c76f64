/**
 * Writes the head of a request anew towards the API server. Nothing of the caller's head goes on
 * but its method, its path, and the values of the headers named here.
 */
import { listOf, valuesOf, type Field, type Head } from '../door/http1.ts'
import { once } from '../door/once.ts'
import { Refusal } from '../status.ts'

/** An allow-list: what is not known to be harmless and of use to the API server stays out. */
const passedOn = new Set([
  // What the answer should be like, and what the body is. The API server negotiates by these.
  'accept',
  'accept-encoding',
  'accept-language',
  'content-type',
  'content-encoding',
  // Who the program is: for the API server's audit log and its warnings. Never who the person is.
  'user-agent',
  // Conditions and parts: discovery is cached by these, and logs are read in ranges.
  'cache-control',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
  // The API server itself says whether it wants the body.
  'expect',
])

/** kubectl says which command it runs, for the audit log. */
const kubectlPrefix = 'kubectl-'

/** What belongs to a handshake, and is passed on only with one. */
const ofUpgrades = new Set([
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  // The versions of kubectl's SPDY protocols, one line each.
  'x-stream-protocol-version',
])

const protocols = new Set(['websocket', 'spdy/3.1'])

/**
 * The protocol that a request asks to be upgraded to, or null.
 *
 * @throws {Refusal} 400 when it is half of a request for an upgrade, one to a protocol that kubectl
 * does not speak (`h2c` would hide whole requests from the door), or one with a body: bytes behind
 * such a head would be a body to one reader and the new protocol to another.
 */
export function upgradeOf({ method, fields, framing }: Head): string | null {
  const [protocol] = valuesOf(fields, 'upgrade')
  const asks = listOf(fields, 'connection').includes('upgrade')
  if (protocol === undefined && !asks) return null
  if (protocol === undefined || !asks) throw new Refusal(400, 'this is half a request to upgrade')
  if (!protocols.has(protocol.toLowerCase())) {
    throw new Refusal(400, 'only upgrades to websocket and SPDY/3.1 are passed on')
  }
  if (method !== 'GET' && method !== 'POST') throw new Refusal(400, `${method} can not upgrade`)
  const isEmpty = framing.kind === 'none' || (framing.kind === 'length' && framing.length === 0)
  if (!isEmpty) throw new Refusal(400, 'a request to upgrade has no body')
  return protocol
}

/** RFC 9110 section 10.1.1: the one expectation there is. */
export function refuseExpectations({ fields }: Head): void {
  const [expectation] = valuesOf(fields, 'expect')
  if (expectation !== undefined && expectation.toLowerCase() !== '100-continue') {
    throw new Refusal(417, 'the only expectation that can be met is 100-continue')
  }
}

/** What the connector itself says in every request. */
export type OwnLines = {
  host: string
  /** The `Authorization` of the connector's own account; null: a client certificate speaks. */
  credential: string | null
  /** Made by `identityLines`. */
  identity: string
  /** The API server believes these two in its audit log: they are ours and never the caller's. */
  auditId: string
  address: string | null
}

export function requestLines(head: Head, own: OwnLines, upgrade: string | null): string {
  let lines = `${head.method} ${head.target} HTTP/1.1\r\nHost: ${own.host}\r\n`
  if (own.credential !== null) lines += `Authorization: Bearer ${own.credential}\r\n`
  lines += `${own.identity}Audit-ID: ${own.auditId}\r\n`
  if (own.address !== null) lines += `X-Forwarded-For: ${own.address}\r\n`
  lines += upgrade === null ? plainLines(head.fields) : linesOf(head.fields, true)
  lines += framingLine(head)
  if (upgrade !== null) lines += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  return `${lines}\r\n`
}

/** What goes on of headers that ask for no upgrade. */
const plainLines = once((fields: readonly Field[]) => linesOf(fields, false))

function linesOf(fields: readonly Field[], upgrades: boolean): string {
  let lines = ''
  for (const { name, written, value } of fields) {
    if (isPassedOn(name, upgrades)) lines += `${written}: ${value}\r\n`
  }
  return lines
}

function isPassedOn(name: string, upgrades: boolean): boolean {
  return passedOn.has(name) || name.startsWith(kubectlPrefix) || (upgrades && ofUpgrades.has(name))
}

function framingLine({ framing }: Head): string {
  if (framing.kind === 'chunked') return 'Transfer-Encoding: chunked\r\n'
  return framing.kind === 'length' ? `Content-Length: ${framing.length}\r\n` : ''
}
