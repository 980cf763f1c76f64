/** The identity lines of a request to the API server: the lines an attacker needs. */
import { fitsHeader, isReserved } from '../../src/wire/names.ts'
import { once } from './once.ts'
import { Refusal } from '../status.ts'

export type Impersonated = Readonly<{
  email: string
  userId: string
  sessionId: string
  groups: readonly string[]
}>

/**
 * The identity lines of a request to the API server, in wire form.
 *
 * The door has refused callers who speak of identity, and the rest of the head is written from an
 * allow-list; so these are the only such lines there are. One line per group: joined by a comma
 * they would be one group with a comma in its name.
 *
 * @throws {Refusal} 403 when a name is reserved (`system:`) or can not be a header, or there is no
 * group at all: names come from providers and settings, and this is the last look at them.
 *
 * @example
 * identityLines({ email: 'ana@example.com', userId: 'u1', sessionId: 's1', groups: ['infra:role:view'] })
 * // 'Impersonate-User: ana@example.com\r\nImpersonate-Uid: u1\r\n'
 * // + 'Impersonate-Group: infra:role:view\r\nImpersonate-Extra-access.infra%2fsession: s1\r\n'
 */
export const identityLines = once(({ email, userId, sessionId, groups }: Impersonated): string => {
  if (groups.length === 0) throw new Refusal(403, 'no grant lets you into this cluster')
  return [
    line('Impersonate-User', email),
    line('Impersonate-Uid', userId),
    ...groups.map((group) => line('Impersonate-Group', group)),
    // The API server reads keys percent-decoded: `access.infra/session`, which its audit log shows.
    line('Impersonate-Extra-access.infra%2fsession', sessionId),
  ].join('')
})

/** What precedes the name of a role or a group that somebody chose. */
const ourPrefix = /^infra:(?:role:|group:|namespace:[^:]*:)/

function line(name: string, value: string): string {
  const chosen = value.replace(ourPrefix, '')
  if (isReserved(value) || isReserved(chosen) || !fitsHeader.test(value)) {
    throw new Refusal(403, `the name ${JSON.stringify(value)} is not allowed in a cluster`)
  }
  return `${name}: ${value}\r\n`
}
