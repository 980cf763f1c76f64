/**
 * What a caller says about identity. The connector alone says who a request is from; a header of a
 * caller's that speaks of it is an attack or a misunderstanding, and either deserves an answer.
 */
import { listOf, type Field } from './http1.ts'
import { Refusal } from '../status.ts'

/**
 * By family and not by list, because the API server may learn new ones; and by letters alone,
 * because some servers read `Impersonate_User` as `Impersonate-User`.
 */
function speaksOfIdentity(name: string): boolean {
  return ofIdentity.test(name)
}

/** Begins with one of these, whatever else stands between its letters. */
const apart = (word: string) => word.split('').join('[^a-z0-9]*')
const ofIdentity = new RegExp(`^[^a-z0-9]*(?:${apart('impersonate')}|${apart('xremote')})`, 'i')

/** Headers that name other headers, which a proxy on the way would then take away. */
const naming = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer']

/** All that a caller has reason to say of the connection itself. */
const connectionWords = new Set(['close', 'keep-alive', 'te', 'upgrade'])

/** The API server takes a token from here where it finds none in `Authorization`. */
const bearerProtocol = 'bearer.authorization.k8s.io'

/** @throws {Refusal} 400 */
export function refuseSpokenIdentity(fields: readonly Field[]): void {
  for (const { name, written } of fields) {
    if (speaksOfIdentity(name)) throw new Refusal(400, `${written} is not taken: ${why}`)
  }
  for (const name of naming) {
    // `Connection: Impersonate-User` makes a hop drop the line that we write (CVE-2021-31999).
    const words = listOf(fields, name).flatMap((word) => word.split(/[\s;=]+/))
    if (words.some(speaksOfIdentity)) throw new Refusal(400, `${name} names identity: ${why}`)
  }
  const odd = listOf(fields, 'connection').find((word) => !connectionWords.has(word))
  if (odd !== undefined) throw new Refusal(400, 'Connection names a header, which is not taken')
  if (listOf(fields, 'sec-websocket-protocol').some((word) => word.includes(bearerProtocol))) {
    throw new Refusal(400, 'a token in Sec-WebSocket-Protocol is not taken')
  }
}

const why = 'the connector alone says who a request is from (kubectl --as does not work here)'
