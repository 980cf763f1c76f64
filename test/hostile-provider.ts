/**
 * An OIDC provider that gets one thing wrong at a time: what its discovery, its redirect, its ID
 * token or its userinfo says is the test's to change. It checks nothing itself, and remembers what
 * it was sent and what it issued, so that a test can search for these elsewhere.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { harvest, harvestQuery } from './secrets/harvest.ts'
import { secret, written } from './secrets/record.ts'

type Values = Record<string, unknown>

/** Each changes the right thing in place, or says how to sign. */
export type Wrong = {
  discovery?: (document: Values) => void
  callback?: (parameters: URLSearchParams) => void
  claims?: (claims: Values) => void
  header?: (header: Values) => void
  sign?: 'none' | 'none with signature' | 'hs256' | 'another key' | 'altered'
  token?: (answer: Values) => void
  tokenStatus?: number
  userinfo?: (claims: Values) => void
}

export type HostileProvider = {
  issuer: string
  client: { id: string; secret: string }
  /** What goes wrong from now on; `{}`: nothing. */
  wrong: Wrong
  /** The token requests that came: the credential in the header, and the form. */
  requests: { authorization: string | null; form: URLSearchParams }[]
  userinfoAsked: number
  /** Every token that was issued. */
  issued: string[]
  /** Lets Ana in at once, as a browser that is logged in already, and returns the callback URL. */
  authorize(authorizationUrl: string): string
  stop(): Promise<void>
}

type Inside = HostileProvider & { keys: { right: CryptoKey; other: CryptoKey; jwk: JWK } }

export async function startHostileProvider(): Promise<HostileProvider> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('the provider has no port')
  const keys = await makeKeys()
  const issuer = `http://127.0.0.1:${address.port}`
  const nonces = new Map<string, string>()
  const self: Inside = {
    issuer,
    client: { id: 'infra', secret: `client-secret-${randomBytes(12).toString('hex')}` },
    wrong: {},
    requests: [],
    userinfoAsked: 0,
    issued: [],
    keys,
    authorize: (url) => authorize(self, nonces, new URL(url).searchParams),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  secret('client secret', self.client.secret)
  server.on('request', (request, response) => {
    written('provider URL', 'hostile provider', request.url ?? '')
    answer(self, nonces, request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error))
    })
  })
  return self
}

async function makeKeys(): Promise<Inside['keys']> {
  const [right, other] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')])
  const jwk = { ...(await exportJWK(right.publicKey)), kid: 'right', alg: 'ES256', use: 'sig' }
  return { right: right.privateKey, other: other.privateKey, jwk }
}

function authorize(self: Inside, nonces: Map<string, string>, asked: URLSearchParams): string {
  const code = randomBytes(16).toString('hex')
  nonces.set(code, asked.get('nonce') ?? '')
  const parameters = new URLSearchParams({
    code,
    state: asked.get('state') ?? '',
    iss: self.issuer,
  })
  self.wrong.callback?.(parameters)
  harvestQuery(asked)
  harvestQuery(parameters)
  return `${asked.get('redirect_uri') ?? ''}?${parameters.toString()}`
}

async function answer(
  self: Inside,
  nonces: Map<string, string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url
  if (path === '/.well-known/openid-configuration') send(response, 200, discoveryOf(self))
  else if (path === '/jwks') send(response, 200, { keys: [self.keys.jwk] })
  else if (path === '/token') {
    const form = new URLSearchParams(await textOf(request))
    harvestQuery(form)
    self.requests.push({ authorization: request.headers.authorization ?? null, form })
    const nonce = nonces.get(form.get('code') ?? '') ?? ''
    send(response, self.wrong.tokenStatus ?? 200, await tokensOf(self, nonce))
  } else if (path === '/userinfo') {
    self.userinfoAsked += 1
    const claims: Values = { sub: 'a-1001', email: 'ana@example.com', email_verified: true }
    self.wrong.userinfo?.(claims)
    send(response, 200, claims)
  } else send(response, 404, {})
}

function discoveryOf({ issuer, wrong }: Inside): Values {
  const document: Values = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'],
    scopes_supported: ['openid', 'email', 'groups'],
    authorization_response_iss_parameter_supported: true,
  }
  wrong.discovery?.(document)
  return document
}

async function tokensOf(self: Inside, nonce: string): Promise<Values> {
  const idToken = await idTokenOf(self, nonce)
  const accessToken = `access-${randomBytes(24).toString('base64url')}`
  const refreshToken = `refresh-${randomBytes(24).toString('base64url')}`
  self.issued.push(idToken, accessToken, refreshToken)
  const tokens: Values = {
    token_type: 'Bearer',
    expires_in: 300,
    access_token: accessToken,
    refresh_token: refreshToken,
    id_token: idToken,
  }
  self.wrong.token?.(tokens)
  harvest(JSON.stringify(tokens))
  return tokens
}

async function idTokenOf({ issuer, client, wrong, keys }: Inside, nonce: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const claims: Values = {
    iss: issuer,
    sub: 'a-1001',
    aud: client.id,
    iat: now,
    exp: now + 300,
    nonce,
    email: 'ana@example.com',
    email_verified: true,
    groups: ['dev'],
  }
  wrong.claims?.(claims)
  const header = { alg: 'ES256', kid: 'right' }
  wrong.header?.(header)
  if (wrong.sign === 'none') return `${part({ ...header, alg: 'none' })}.${part(claims)}.`
  if (wrong.sign === 'hs256') return hs256({ ...header, alg: 'HS256' }, claims, client.secret)
  const key = wrong.sign === 'another key' ? keys.other : keys.right
  const signed = await new SignJWT(claims).setProtectedHeader(header).sign(key)
  const [first = '', , last = ''] = signed.split('.')
  if (wrong.sign === 'none with signature') {
    return `${part({ ...header, alg: 'none' })}.${part(claims)}.${last}`
  }
  if (wrong.sign !== 'altered') return signed
  return `${first}.${part({ ...claims, email: 'root@example.com' })}.${last}`
}

function hs256(header: Values, claims: Values, secret: string): string {
  const signed = `${part(header)}.${part(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function part(values: Values): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url')
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function send(response: ServerResponse, status: number, body: Values): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
