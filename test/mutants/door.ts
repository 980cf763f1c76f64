/** The door: who comes in, and as whom. */
import { breaksOf, type Mutant } from './mutant.ts'

const tokens = breaksOf('connector/door/token.ts', 'connector/door/door.test.ts', [
  {
    name: 'D7: aud is not compared',
    old: `aud !== destination.id`,
    new: `aud === ''`,
  },
  {
    name: 'D7: aud may be a list',
    old: `aud: z.string(),`,
    new: `aud: z.union([z.string(), z.array(z.string())]).transform((aud) => [aud].flat()[0]),`,
  },
  {
    name: 'D7: iss is not compared',
    old: `iss !== issuer`,
    new: `iss === ''`,
  },
  {
    name: 'D7: exp is not looked at',
    old: `expiresAt <= now`,
    new: `expiresAt <= 0`,
  },
  {
    name: 'D7: iat may be in the future',
    old: `issuedAt > now + marginSeconds * 1000`,
    new: `issuedAt < 0`,
  },
  {
    name: 'D7: a token may live for a year',
    old: `if (exp <= iat || exp - iat > longestLifeSeconds + marginSeconds)`,
    new: `if (exp <= iat)`,
  },
  {
    name: 'D7: any typ is taken, an ID token among them',
    old: `members.get('typ') !== tokenType`,
    new: `members.get('typ') === undefined`,
  },
  {
    name: 'D7: alg is what the header says',
    old: `members.get('alg') !== 'ES256'`,
    new: `members.get('alg') === undefined`,
  },
  {
    name: 'D7: an unknown kid falls back to a key that is known',
    old: `const key = keys.get(keyIdOf(bytesOf(header).toString('utf8')))`,
    new: `const kid = keyIdOf(bytesOf(header).toString('utf8'))
  const key = keys.get(kid) ?? [...keys.values()][0]`,
  },
  {
    name: 'D7: the signature is not verified',
    old: `if (!isSigned(signed, bytesOf(signature), key))`,
    new: `bytesOf(signature)\n  if (signed.length === 0)`,
  },
  {
    name: 'D7: the header may hold more (jwk, jku, x5u, crit)',
    old: '^\\\\{${member},${member},${member}\\\\}$`',
    new: '^\\\\{${member},${member},${member}[,}]`',
  },
  {
    name: 'D7: a JWE, or parts behind the signature',
    old: ` || more.length > 0`,
    new: ``,
  },
  {
    name: 'D7: base64url in another spelling',
    old: `bytes.length === 0 || bytes.toString('base64url') !== part`,
    new: `bytes.length === 0`,
  },
  {
    name: 'D7: a token may have any length',
    old: `token.length > maxTokenBytes`,
    new: `token.length < 0`,
  },
  {
    name: 'D7: sub may be what is no id',
    old: `sub: Id,`,
    new: `sub: z.string(),`,
  },
])

const door = breaksOf('connector/door/door.ts', 'connector/door/door.test.ts', [
  {
    name: 'D7: a key that is gone leaves the tokens that it signed',
    old: `    this.#verified.clear()\n`,
    new: ``,
  },
  {
    name: 'D7: a token seen before is not judged by the time again',
    old: `const claims = this.#verified.get(token) ?? this.#verify(token)`,
    new: `const seen = this.#verified.get(token)
    if (seen) return seen
    const claims = this.#verify(token)`,
  },
  {
    name: 'D11: tokens seen before are kept without bound',
    old: `this.#verified.size >= this.#most`,
    new: `this.#verified.size < 0`,
    tests: ['connector/attacks/tokens.test.ts'],
  },
  {
    name: 'D1, D2: nobody looks at what a caller says of identity',
    old: `  refuseSpokenIdentity(fields)\n`,
    new: ``,
  },
  {
    name: 'D5: two Authorization headers, and the first counts',
    old: `given.length !== 1 || token === undefined`,
    new: `token === undefined`,
  },
  {
    name: 'D7: another scheme is taken for Bearer',
    old: `/^Bearer ([A-Za-z0-9_.-]+)$/`,
    new: `/^(?:Bearer|Basic) ([A-Za-z0-9_.-]+)$/`,
  },
  {
    name: 'D7: Bearer in any casing, with any space',
    old: `/^Bearer ([A-Za-z0-9_.-]+)$/`,
    new: `/^Bearer +([A-Za-z0-9_.-]+)$/i`,
  },
  {
    name: 'R6: the door does not ask for the lease',
    old: `if (lapse) throw refusalFor(lapse)`,
    new: `void lapse`,
  },
  {
    name: 'R1: a session that has ended is told to ask for a grant',
    old: `new Refusal(401, 'the session has ended, log in again')`,
    new: `new Refusal(403, 'the session has ended, log in again')`,
  },
  {
    name: 'R1: a user without a grant is told to log in, for ever',
    old: `new Refusal(403, 'no grant lets`,
    new: `new Refusal(401, 'no grant lets`,
  },
])

const standing = breaksOf('connector/standing.ts', 'connector/access.test.ts', [
  {
    name: 'R1: a grant that has expired counts',
    old: `grants.filter((grant) => stands(grant, now))`,
    new: `grants.filter(() => now > 0)`,
  },
  {
    name: 'R1: a group counts though no grant of it stands',
    old: `    if (grants.length === 0) continue\n`,
    new: ``,
  },
])

const spoken = breaksOf('connector/door/spoken.ts', 'connector/door/door.test.ts', [
  {
    name: 'D2: Impersonate-* is refused by list, and not by family',
    old: "${apart('impersonate')}|",
    new: `impersonate-(?:user|group|uid)$|`,
  },
  {
    name: 'D2: X-Remote-* is passed over',
    old: "|${apart('xremote')}",
    new: ``,
  },
  {
    name: 'D2: an underscore is no hyphen',
    old: `.join('[^a-z0-9]*')`,
    new: `.join('-*')`,
  },
  {
    name: 'D1: headers that name other headers may name identity',
    old: `if (words.some(speaksOfIdentity))`,
    new: `if (words.length < 0)`,
  },
  {
    name: 'D1: Trailer may name identity',
    old: `'te', 'trailer']`,
    new: `'te']`,
  },
  {
    name: 'D1: a name with a parameter is no name',
    old: `.flatMap((word) => word.split(/[\\s;=]+/))`,
    new: ``,
  },
  {
    name: 'D1, O8: Connection may name any header, Authorization among them',
    old: `if (odd !== undefined) throw`,
    new: `if (odd === '') throw`,
  },
  {
    name: 'D7: a token in Sec-WebSocket-Protocol passes',
    old: `.some((word) => word.includes(bearerProtocol))`,
    new: `.includes(bearerProtocol)`,
  },
])

const remembered = breaksOf('connector/door/door.ts', 'connector/door/door.test.ts', [
  {
    name: 'D2: who was let in before stands for every session of theirs',
    old: `if (known?.sessionId === sessionId) return known`,
    new: `if (known) return known`,
  },
])

const lists = breaksOf('connector/door/http1.ts', 'connector/door/door.test.ts', [
  {
    name: 'D1: of a list over several lines only the first is read',
    old: `values.join(',')`,
    new: `(values[0] ?? '')`,
  },
  {
    name: 'D1: the members of a list are compared in their casing',
    old: `.join(',').toLowerCase().split(',')`,
    new: `.join(',').split(',')`,
    tests: ['connector/door/http1.test.ts'],
  },
])

const identity = breaksOf('connector/door/impersonate.ts', 'connector/door/impersonate.test.ts', [
  {
    name: 'D3, D4: groups are joined by a comma',
    old: `...groups.map((group) => line('Impersonate-Group', group)),`,
    new: `line('Impersonate-Group', groups.join(',')),`,
  },
  {
    name: 'D6: reserved names are let through',
    old: `isReserved(value) || isReserved(chosen) || `,
    new: ``,
  },
  {
    name: 'D6: reserved names are let through behind our prefix',
    old: ` || isReserved(chosen)`,
    new: ``,
  },
  {
    name: 'D3: names that can not be a header are let through',
    old: ` || !fitsHeader.test(value)`,
    new: ``,
  },
  {
    name: 'D6: nobody in particular is let through without a group',
    old: `if (groups.length === 0) throw`,
    new: `if (userId === '') throw`,
  },
  {
    name: 'D4: a user is impersonated by name alone',
    old: `    line('Impersonate-Uid', userId),\n`,
    new: ``,
  },
])

const names = breaksOf('src/wire/names.ts', 'connector/door/impersonate.test.ts', [
  {
    name: 'D6: reserved names are told by their casing',
    old: `name.toLowerCase().startsWith('system:')`,
    new: `name.startsWith('system:')`,
  },
  {
    name: 'D3: a name may go on in another line',
    old: `export const fitsHeader = /^[!-~]([ -~]*[!-~])?$/`,
    new: `export const fitsHeader = /^[!-~]([ -~]*[!-~])?$/m`,
  },
])

export const ofTheDoor: Mutant[] = [
  ...[...tokens, ...door, ...standing],
  ...[...spoken, ...remembered, ...lists, ...identity, ...names],
]
