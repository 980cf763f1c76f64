/** Tokens that are not one of ours for this destination, each for one reason and good otherwise. */
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { encoded, issuer, Signer } from '../fixtures.ts'

const kid = 'k1'
const usualHeader = { alg: 'ES256', typ: 'infra+jwt', kid }
/** The order of the group of P-256: `n - s` signs what `s` signs. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

export type Claims = Record<string, unknown>

export function claimsOf(more: Claims = {}): Claims {
  const iat = Math.floor(Date.now() / 1000)
  return { iss: issuer, aud: 'd-prod', sub: 'u-ana', sid: 's-u-ana', iat, exp: iat + 300, ...more }
}

/** Every attack on a token, by what is wrong with it; `signer` is the one whose key is trusted. */
export function badTokens(signer: Signer): Record<string, string> {
  return {
    ...forms(signer),
    ...headers(signer),
    ...signatures(signer),
    ...claims(signer),
    ...spellings(signer),
  }
}

/** Refused whole where a header can not hold it, else as no token of ours. */
export function statusOf(name: string): number {
  return name === 'a line break in base64' ? 400 : 401
}

function forms(signer: Signer): Record<string, string> {
  const good = signer.token('u-ana')
  const [header = '', payload = '', signature = ''] = good.split('.')
  return {
    'a session credential': 'k3yr5mzn2q7d.Vb1xq0f6m2Jt8s4Zc9aW3eRyUiOpLkJh',
    'a connector key': 'c0nn3ct0rk3y.3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'a word': 'token',
    'a Kubernetes bootstrap token': '07401b.f395accd246ae52d',
    'a JWE': `${header}.${payload}.${signature}.${payload}.${signature}`,
    'four parts': `${good}.`,
    'two parts': `${header}.${payload}`,
    'an empty header': `.${payload}.${signature}`,
    'empty claims': `${header}..${signature}`,
    'an empty signature': `${header}.${payload}.`,
    dots: '..',
    'two tokens in one': `${good}.${good}`,
    'of 8 KiB and more': signer.token('u-ana', { pad: 'a'.repeat(8_192) }),
    'of 60 KB': 'a'.repeat(30_000) + '.' + 'b'.repeat(30_000) + '.c',
  }
}

function headers(signer: Signer): Record<string, string> {
  const { x, y } = signer.publicKey
  const own = new Signer(kid)
  const { x: ownX, y: ownY } = own.publicKey
  const withHeader = (more: object) => signer.token('u-ana', {}, more)
  const spelled = (header: string) => signer.compact(header, JSON.stringify(claimsOf()))
  return {
    'an ID token': withHeader({ typ: 'JWT' }),
    'an access token of RFC 9068': withHeader({ typ: 'at+jwt' }),
    'typ in capitals': withHeader({ typ: 'INFRA+JWT' }),
    'typ as a media type': spelled('{"alg":"ES256","typ":"application/infra+jwt","kid":"k1"}'),
    'no typ': withHeader({ typ: undefined }),
    'typ null': withHeader({ typ: null }),
    ...Object.fromEntries(
      [
        'none',
        'None',
        'NONE',
        'es256',
        'Es256',
        'ES384',
        'ES512',
        'ES256K',
        'RS256',
        'PS256',
        'HS256',
        'EdDSA',
        '',
      ].map((alg) => [`alg ${JSON.stringify(alg)}`, withHeader({ alg })]),
    ),
    'no alg': withHeader({ alg: undefined }),
    'a list of algs': withHeader({ alg: ['ES256'] }),
    'an unknown kid': withHeader({ kid: 'k2' }),
    'an empty kid': withHeader({ kid: '' }),
    'no kid': withHeader({ kid: undefined }),
    'a kid that is a number': withHeader({ kid: 1 }),
    'a kid in capitals': withHeader({ kid: 'K1' }),
    'a kid that is a path': withHeader({ kid: '../../dev/null' }),
    'a kid of the prototype': withHeader({ kid: '__proto__' }),
    'a kid called constructor': withHeader({ kid: 'constructor' }),
    jku: withHeader({ jku: 'https://evil.test/jwks' }),
    x5u: withHeader({ x5u: 'https://evil.test/x' }),
    x5c: withHeader({ x5c: ['MIIB'] }),
    'its own jwk': own.token('u-ana', {}, { jwk: { kty: 'EC', crv: 'P-256', x: ownX, y: ownY } }),
    'our own jwk': withHeader({ jwk: { kty: 'EC', crv: 'P-256', x, y } }),
    crit: withHeader({ crit: ['exp'] }),
    'an empty crit': withHeader({ crit: [] }),
    b64: withHeader({ b64: false, crit: ['b64'] }),
    cty: withHeader({ cty: 'JWT' }),
    zip: withHeader({ zip: 'DEF' }),
    'alg twice': spelled('{"alg":"ES256","alg":"ES256","typ":"infra+jwt","kid":"k1"}'),
    'alg twice and no kid': spelled('{"alg":"none","alg":"ES256","typ":"infra+jwt"}'),
    'kid twice': spelled('{"alg":"ES256","typ":"infra+jwt","kid":"k2","kid":"k1"}'),
    '__proto__ in the header': spelled(
      '{"alg":"ES256","typ":"infra+jwt","kid":"k1","__proto__":{}}',
    ),
    'spaces in the header': spelled('{"alg": "ES256","typ":"infra+jwt","kid":"k1"}'),
    'a line break in the header': spelled('{"alg":"ES256","typ":"infra+jwt","kid":"k1"}\n'),
    'a BOM in the header': spelled('\ufeff{"alg":"ES256","typ":"infra+jwt","kid":"k1"}'),
    'escapes in the header': spelled('{"alg":"ES\\u003256","typ":"infra+jwt","kid":"k1"}'),
    'a header that is a list': spelled('["ES256","infra+jwt","k1"]'),
    'a header that is null': spelled('null'),
  }
}

function signatures(signer: Signer): Record<string, string> {
  const header = encoded(JSON.stringify(usualHeader))
  const payload = encoded(JSON.stringify(claimsOf()))
  const text = `${header}.${payload}`
  const [, , good = ''] = signer
    .compact(JSON.stringify(usualHeader), JSON.stringify(claimsOf()))
    .split('.')
  const bytes = Buffer.from(good, 'base64url')
  const signed = (signature: Buffer) => `${text}.${signature.toString('base64url')}`
  const n = Buffer.from(order.toString(16), 'hex')
  const zero = Buffer.alloc(32)
  const one = Buffer.concat([Buffer.alloc(31), Buffer.from([1])])
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  const byHmac = (key: string | Buffer) => {
    const hs256 = `${encoded(JSON.stringify({ ...usualHeader, alg: 'HS256' }))}.${payload}`
    return `${hs256}.${createHmac('sha256', key).update(hs256).digest('base64url')}`
  }
  const publicKey = createPublicKey(signer.privateKey)
  return {
    'a foreign key under our kid': new Signer(kid).token('u-ana'),
    'HS256 by the public PEM': byHmac(publicKey.export({ format: 'pem', type: 'spki' })),
    'HS256 by the public DER': byHmac(publicKey.export({ format: 'der', type: 'spki' })),
    'HS256 by the JWK': byHmac(JSON.stringify(signer.publicKey)),
    'HS256 by nothing': byHmac(''),
    RS256: signed(sign('sha256', Buffer.from(text), rsa)),
    ES384: signed(sign('sha384', Buffer.from(text), { key: p384, dsaEncoding: 'ieee-p1363' })),
    'SHA-512 by our key': signed(
      sign('sha512', Buffer.from(text), { key: signer.privateKey, dsaEncoding: 'ieee-p1363' }),
    ),
    'a signature in DER': signed(sign('sha256', Buffer.from(text), signer.privateKey)),
    'r and s of zero': signed(Buffer.alloc(64)),
    'r of zero': signed(Buffer.concat([zero, bytes.subarray(32)])),
    's of zero': signed(Buffer.concat([bytes.subarray(0, 32), zero])),
    'r and s of n': signed(Buffer.concat([n, n])),
    'r of 1 and s of n': signed(Buffer.concat([one, n])),
    'r and s of 1': signed(Buffer.concat([one, one])),
    'r and s of ones': signed(Buffer.alloc(64, 0xff)),
    'a signature cut short': signed(bytes.subarray(0, 63)),
    'a signature made longer': signed(Buffer.concat([bytes, Buffer.from([0])])),
    'the signature of other claims': `${header}.${encoded(JSON.stringify(claimsOf({ sub: 'u-bo' })))}.${good}`,
    'a bit of the signature turned': signed(
      Buffer.from(bytes.map((byte, at) => (at === 9 ? byte ^ 1 : byte))),
    ),
  }
}

// prettier-ignore
const oddTimes: unknown[] = [undefined, null, '', true, [], {}, -1, 0.5, 1e300, 2 ** 53, 2 ** 53 + 2, 2 ** 63, 'NaN', '1e3']

function claims(signer: Signer): Record<string, string> {
  const iat = Math.floor(Date.now() / 1000)
  const withClaims = (more: Claims) => signer.token('u-ana', more)
  const odd = (name: 'iat' | 'exp') =>
    oddTimes.map((value) => [`${name} of ${JSON.stringify(value)}`, withClaims({ [name]: value })])
  return {
    'of another destination': withClaims({ aud: 'd-staging' }),
    'aud by name': withClaims({ aud: 'prod' }),
    'aud in capitals': withClaims({ aud: 'D-PROD' }),
    'aud with a space': withClaims({ aud: 'd-prod ' }),
    'a list for aud': withClaims({ aud: ['d-prod'] }),
    'two in aud': withClaims({ aud: ['d-prod', 'd-staging'] }),
    'an empty list for aud': withClaims({ aud: [] }),
    'an empty aud': withClaims({ aud: '' }),
    'aud null': withClaims({ aud: null }),
    'an object for aud': withClaims({ aud: { 0: 'd-prod' } }),
    'no aud': withClaims({ aud: undefined }),
    'another issuer': withClaims({ iss: 'https://evil.test' }),
    'the issuer with a slash': withClaims({ iss: `${issuer}/` }),
    'the issuer in capitals': withClaims({ iss: issuer.toUpperCase() }),
    'a list of issuers': withClaims({ iss: [issuer] }),
    'no issuer': withClaims({ iss: undefined }),
    'no sub': withClaims({ sub: undefined }),
    'an e-mail for sub': withClaims({ sub: 'ana@example.com' }),
    'a sub that is reserved': withClaims({ sub: 'system:admin' }),
    'a list for sub': withClaims({ sub: ['u-ana'] }),
    'a number for sub': withClaims({ sub: 1 }),
    'an empty sub': withClaims({ sub: '' }),
    'a line break in sub': withClaims({ sub: 'u-ana\r\nX: y' }),
    'no sid': withClaims({ sid: undefined }),
    'a sid with a line break': withClaims({ sid: 's\r\nImpersonate-Group: system:masters' }),
    'a sid that is an object': withClaims({ sid: {} }),
    'exp before iat': withClaims({ exp: iat - 1 }),
    'exp as iat': withClaims({ exp: iat }),
    'from before and expired': withClaims({ iat: iat - 600, exp: iat - 300 }),
    'from the future': withClaims({ iat: iat + 3_600, exp: iat + 3_900 }),
    'a year long': withClaims({ exp: iat + 365 * 86_400 }),
    'in milliseconds': withClaims({ iat: iat * 1000, exp: iat * 1000 + 300 }),
    ...Object.fromEntries([...odd('iat'), ...odd('exp')]),
    'a claim we do not write': withClaims({ groups: ['system:masters'] }),
    nbf: withClaims({ nbf: iat + 3_600 }),
    'a key to prove': withClaims({ cnf: { jkt: 'x' } }),
    "an ID token's claims": withClaims({
      nonce: 'n',
      email: 'ana@example.com',
      email_verified: true,
    }),
  }
}

/** Our key signs these here, as it never would: another parser may read them otherwise. */
function spellings(signer: Signer): Record<string, string> {
  const good = JSON.stringify(claimsOf())
  const header = JSON.stringify(usualHeader)
  const spelled = (payload: string | Buffer) => {
    const text = `${encoded(header)}.${Buffer.from(payload).toString('base64url')}`
    const key = { key: signer.privateKey, dsaEncoding: 'ieee-p1363' as const }
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }
  const time = /"exp":([0-9]+)/.exec(good)?.[1] ?? ''
  const token = spelled(good)
  const [h = '', p = '', s = ''] = token.split('.')
  return {
    'aud twice': spelled(good.replace('{', '{"aud":"d-staging",')),
    'aud twice, the same': spelled(good.replace('{', '{"aud":"d-prod",')),
    'sub twice': spelled(good.replace('}', ',"sub":"u-ana"}')),
    'exp twice': spelled(good.replace('{', '{"exp":1,')),
    '__proto__ in the claims': spelled(good.replace('{', '{"__proto__":{"sub":"u-bo"},')),
    'all in __proto__': spelled(`{"__proto__":${good}}`),
    'constructor in the claims': spelled(good.replace('{', '{"constructor":1,')),
    'spaces in the claims': spelled(good.replace(':', ': ')),
    'a line break behind the claims': spelled(`${good}\n`),
    'a space before the claims': spelled(` ${good}`),
    'a NUL behind the claims': spelled(`${good}\0`),
    'a BOM before the claims': spelled(`\ufeff${good}`),
    'escapes in the claims': spelled(good.replace('"sub"', '"\\u0073ub"')),
    'an escaped slash': spelled(good.replace('https://', 'https:\\/\\/')),
    'exp as 1e3': spelled(good.replace(time, `${time}e0`)),
    'exp with a fraction of nothing': spelled(good.replace(time, `${time}.0`)),
    'exp with a leading zero': spelled(good.replace(time, `0${time}`)),
    'exp with a sign': spelled(good.replace(time, `+${time}`)),
    'exp beyond 2^53 of the same double': spelled(good.replace(time, '9007199254740993')),
    'bytes that are not UTF-8': spelled(Buffer.from(good.replace('u-ana', 'u\xffana'), 'latin1')),
    'overlong UTF-8': spelled(Buffer.from(good.replace('{', '{"\xc0\xae":1,'), 'latin1')),
    'UTF-16': spelled(Buffer.from(good, 'utf16le')),
    'a lone surrogate': spelled(good.replace('}', ',"a":"\\ud800"}')),
    'claims that are a list': spelled(`[${good}]`),
    'claims that are text': spelled(JSON.stringify(good)),
    'claims that are null': spelled('null'),
    'claims that are deep': spelled(`${'['.repeat(2_500)}${']'.repeat(2_500)}`),
    'no JSON': spelled('sub=u-ana'),
    padding: `${token}=`,
    'padding in the middle': `${h}=.${p}.${s}`,
    'the last character of the signature respelled': `${h}.${p}.${respelled(s)}`,
    'a header respelled': `${respelled(h)}.${p}.${s}`,
    'claims respelled': `${h}.${respelled(p)}.${s}`,
    'base64 that is not url': `${h}.${p}.${s.replace(/[-_]|.$/, '+')}`,
    'a slash in it': `${h}.${p}.${s.replace(/.$/, '/')}`,
    'a line break in base64': `${h}.${p}.\r\n ${s}`,
    percents: `${h}%2e${p}%2e${s}`,
  }
}

/** The same bytes in base64url, if its last character has bits that do not count; else other ones. */
function respelled(part: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(part.at(-1) ?? '')
  return `${part.slice(0, -1)}${alphabet[last ^ 1]}`
}

/** The other signature of the same: whoever has one can make it, without the key. */
export function mirrored(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const s = order - BigInt(`0x${bytes.toString('hex', 32)}`)
  const other = Buffer.from(s.toString(16).padStart(64, '0'), 'hex')
  return `${header}.${payload}.${Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url')}`
}
