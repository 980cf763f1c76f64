/** What the API server must be told of who asks, and nothing besides. */
import { account } from '../../connector/fixtures.ts'
import type { Message } from './oracle.ts'
import { groupsOf, peer } from './play.ts'
import { tokens, type UserId } from './cases/tokens.ts'

const userOf = new Map(
  Object.entries(tokens).map(([user, token]) => [`Bearer ${token}`, user as UserId]),
)
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Of a caller's headers, those that may reach the API server; the rest is ours or is nobody's. */
const passes =
  /^(accept|accept-encoding|accept-language|content-type|content-encoding|content-length|user-agent|cache-control|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|range|expect|kubectl-.*)$/
const passesInUpgrade =
  /^(sec-websocket-(extensions|key|protocol|version)|x-stream-protocol-version)$/

/** Who sent a request, by the one token in it; undefined: nobody who may be let in. */
export function senderOf(said: Message): UserId | undefined {
  const given = said.fields['authorization'] ?? []
  return given.length === 1 ? userOf.get(given[0] ?? '') : undefined
}

/** What is wrong with what was carried, `said` being the caller's own request. */
export function wrongIn(carried: Message, said: Message): string[] {
  const user = senderOf(said)
  if (!user) return ['carried without one good token']
  const { fields } = carried
  const name = user.slice(2)
  const expected: Record<string, string[]> = {
    authorization: [`Bearer ${account}`],
    'impersonate-user': [`${name}@example.com`],
    'impersonate-uid': [user],
    'impersonate-group': groupsOf[user],
    'impersonate-extra-access.infra%2fsession': [`s-${user}`],
    'x-forwarded-for': [peer],
  }
  const wrong = Object.entries(expected)
    .filter(([name, values]) => JSON.stringify(fields[name]) !== JSON.stringify(values))
    .map(([name]) => `${name} is not ours`)
  const [audit = '', ...more] = fields['audit-id'] ?? []
  if (!uuid.test(audit) || more.length > 0) wrong.push('Audit-ID is not ours')
  if (carried.host !== 'api.test:6443') wrong.push('Host is not ours')
  const others = Object.keys(fields).filter((name) => !(name in expected) && name !== 'audit-id')
  return [...wrong, ...others.flatMap((name) => wrongValue(name, fields, said))]
}

function wrongValue(name: string, fields: Message['fields'], said: Message): string[] {
  const isUpgrade = fields['upgrade'] !== undefined
  if (isUpgrade && (name === 'connection' || name === 'upgrade')) return []
  if (!passes.test(name) && !(isUpgrade && passesInUpgrade.test(name))) {
    return [`${name} was passed on`]
  }
  // net/http reads `Pragma: no-cache` as a Cache-Control of the caller's.
  if (name === 'cache-control' && said.fields['pragma']) return []
  const isSame = JSON.stringify(fields[name]) === JSON.stringify(said.fields[name])
  return isSame ? [] : [`${name} was changed`]
}
