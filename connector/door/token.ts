/**
 * Reads a token: a compact JWS (RFC 7515) of ours and of nobody else's.
 *
 * Every choice that the format leaves to whoever made the token is taken away from them: the
 * algorithm, the type and the keys are ours, and the form is judged by its bytes before anything
 * in it is believed (RFC 8725).
 */
import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import type { AccessHead, PublicKey } from '../../src/wire/access.ts'
import { Id } from '../../src/wire/names.ts'
import { tokenType } from '../../src/wire/tokens.ts'
import { Refusal } from '../status.ts'

/** Instants in ms of server time. */
export type Claims = { userId: string; sessionId: string; issuedAt: number; expiresAt: number }

const maxTokenBytes = 8 * 1024
/** No token of ours lives longer (the longest lease), give or take a clock. */
const longestLifeSeconds = 24 * 3600
const marginSeconds = 60
const signatureBytes = 64

/**
 * Exactly these three members, in any order and with no room for more: no key brought along
 * (`jwk`, `jku`, `x5u`), nothing critical (`crit`, `b64`).
 */
const member = '"(alg|typ|kid)":"([A-Za-z0-9+_-]+)"'
const headerForm = new RegExp(`^\\{${member},${member},${member}\\}$`)

/** A token with claims that we would not write was signed for something else. */
const Payload = z.strictObject({
  iss: z.string(),
  // RFC 7519 section 4.1.3 allows a list; one token is for one destination.
  aud: z.string(),
  sub: Id,
  sid: Id,
  iat: z.number().int().nonnegative(),
  exp: z.number().int().nonnegative(),
})

/** The keys of one Access, ready to verify with, by their `kid`. */
export type Keys = Map<string, KeyObject>

export function keysOf(signingKeys: PublicKey[]): Keys {
  return new Map(
    signingKeys.map(({ kid, kty, crv, x, y }) => [
      kid,
      createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' }),
    ]),
  )
}

/**
 * Who a token names. The signature is valid, and it was issued by this issuer for this destination;
 * whether it is still good, and what it opens, is judged at each request.
 *
 * @throws {Refusal} 401, with one sentence whatever was wrong: the rest is in `cause`, for the log.
 */
export function readToken(
  token: string,
  keys: Keys,
  access: Pick<AccessHead, 'issuer' | 'destination'>,
): Claims {
  if (token.length > maxTokenBytes) throw bad('it is too long')
  const [header, payload, signature, ...more] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) {
    throw bad('it has not three parts')
  }
  const key = keys.get(keyIdOf(bytesOf(header).toString('utf8')))
  if (!key) throw bad('its kid names no signing key')
  const signed = Buffer.from(`${header}.${payload}`)
  if (!isSigned(signed, bytesOf(signature), key)) throw bad('its signature is wrong')
  return claimsOf(bytesOf(payload), access)
}

/**
 * Refuses a token by the time, `now` being server time: a connector's wrong clock neither locks
 * out nor lets in.
 */
export function refuseUntimely({ issuedAt, expiresAt }: Claims, now: number | null): void {
  if (now === null || expiresAt <= now) throw bad('it has expired')
  if (issuedAt > now + marginSeconds * 1000) throw bad('it is from the future')
}

export function bad(why: string): Refusal {
  return new Refusal(401, 'the token is not valid here', { cause: `the token is bad: ${why}` })
}

/** Base64url has several spellings of the same bytes; only the canonical one is taken. */
function bytesOf(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.length === 0 || bytes.toString('base64url') !== part) {
    throw bad('a part of it is not base64url')
  }
  return bytes
}

function keyIdOf(header: string): string {
  const [, a = '', ofA, b = '', ofB, c = '', ofC] = headerForm.exec(header) ?? []
  // Three members of these three names: when all are there, none is there twice.
  const members = new Map([
    [a, ofA],
    [b, ofB],
    [c, ofC],
  ])
  const kid = members.get('kid')
  if (members.get('alg') !== 'ES256') throw bad('its alg is not ES256')
  if (members.get('typ') !== tokenType) throw bad(`its typ is not ${tokenType}`)
  if (kid === undefined) throw bad('it names no signing key')
  return kid
}

function isSigned(signed: Buffer, signature: Buffer, key: KeyObject): boolean {
  if (signature.length !== signatureBytes) return false
  return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

function claimsOf(
  payload: Buffer,
  { issuer, destination }: Pick<AccessHead, 'issuer' | 'destination'>,
): Claims {
  const { iss, aud, sub, sid, iat, exp } = payloadOf(payload)
  if (iss !== issuer) throw bad('another issuer made it')
  if (aud !== destination.id) throw bad('it is for another destination')
  if (exp <= iat || exp - iat > longestLifeSeconds + marginSeconds) throw bad('it lives too long')
  return { userId: sub, sessionId: sid, issuedAt: iat * 1000, expiresAt: exp * 1000 }
}

/**
 * Claims in the one spelling that we write: no member twice, no number as `1e3`, no spaces, no bytes
 * that are not UTF-8. Whoever reads them by another parser reads the same.
 */
function payloadOf(bytes: Buffer): z.infer<typeof Payload> {
  try {
    const claims: unknown = JSON.parse(bytes.toString('utf8'))
    if (!Buffer.from(JSON.stringify(claims)).equals(bytes)) throw bad('its claims are respelled')
    return Payload.parse(claims)
  } catch {
    // What could not be read is not repeated in the log: it came from outside.
    throw bad('its claims are not ones of ours')
  }
}
