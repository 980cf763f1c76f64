/** What the connector's tests stand on: certificates, tokens, a clock, and both far ends. */
import { generateKeyPairSync, randomUUID, sign, webcrypto, type KeyObject } from 'node:crypto'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { TestContext } from 'node:test'
import { secret, written } from '../test/secrets/record.ts'
import type { Access, AccessGrant, PublicKey } from '../src/wire/access.ts'
import { lineOf } from '../src/wire/log.ts'
import { loadX509 } from '../src/wire/x509.ts'
import { HeldAccess } from './access.ts'
import { systemClock, type Clock } from './clock.ts'
import { Door } from './door/door.ts'
import { dial, Recorder, type Tape } from './far-ends.fixtures.ts'
import { listen, type Serving } from './splice/listen.ts'
import type { Limits } from './splice/limits.ts'
import { Proxy, type ProxyParts } from './splice/proxy.ts'
import type { Log } from './status.ts'
import { Streams } from './streams.ts'
import type { UpstreamTarget } from './splice/upstream.ts'

const isAddress = (name: string) => /^[0-9.]+$/.test(name)

/** A self-signed P-256 certificate for names or addresses. */
export async function certificateFor(...names: string[]): Promise<Serving> {
  const x509 = await loadX509()
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: randomUUID().replaceAll('-', '').replace(/^./, '1'),
      name: `CN=${names[0]}`,
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 86_400_000),
      signingAlgorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isAddress(value) ? 'ip' : 'dns', value })),
        ),
      ],
    },
    webcrypto,
  )
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') }
}

/** A clock that goes when it is told to. */
export class HandClock implements Clock {
  #elapsed = 1_000_000
  #wall = Date.parse('2026-01-01T00:00:00Z')

  elapsed(): number {
    return this.#elapsed
  }

  wall(): number {
    return this.#wall
  }

  pass(ms: number): void {
    this.#elapsed += ms
    this.#wall += ms
  }

  setWall(byMs: number): void {
    this.#wall += byMs
  }
}

export const issuer = 'https://infra.test'

export function grantOf(
  subject: AccessGrant['subject'],
  role: string,
  more: Partial<AccessGrant> = {},
): AccessGrant {
  return { id: randomUUID(), subject, role, namespace: null, expiresAt: null, ...more }
}

export const user = (id: string) => ({ kind: 'user' as const, id })
export const group = (id: string) => ({ kind: 'group' as const, id })

/** Access in short: sessions that ended are told of every user. */
export type AccessWords = Partial<Omit<Access, 'users'>> & {
  users?: Omit<Access['users'][number], 'ended'>[]
  endedSessions?: string[]
}

/** Access to the cluster `prod`, where ana may view and bo may edit, unless said otherwise. */
export function accessTo({ users, endedSessions = [], ...more }: AccessWords = {}): Access {
  const people = users ?? [
    { id: 'u-ana', email: 'ana@example.com', groups: [] },
    { id: 'u-bo', email: 'bo@example.com', groups: [] },
  ]
  return {
    destination: { id: 'd-prod', name: 'prod' },
    epoch: 'e1',
    revision: 1,
    issuer,
    leaseSeconds: 360,
    onLeaseEnd: 'cut',
    users: people.map((person) => ({ ...person, ended: endedSessions })),
    groups: [],
    grants: [grantOf(user('u-ana'), 'view'), grantOf(user('u-bo'), 'edit')],
    signingKeys: [],
    ...more,
  }
}

/** Signs tokens as the server does, and as it never would. */
export class Signer {
  readonly publicKey: PublicKey
  readonly privateKey: KeyObject

  constructor(kid: string) {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x = '', y = '' } = pair.publicKey.export({ format: 'jwk' })
    this.privateKey = pair.privateKey
    this.publicKey = { kid, kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', x, y }
  }

  token(userId: string, claims: Record<string, unknown> = {}, header: object = {}): string {
    const { kid } = this.publicKey
    const iat = Math.floor(Date.now() / 1000)
    const usual = {
      iss: issuer,
      aud: 'd-prod',
      sub: userId,
      sid: `s-${userId}`,
      iat,
      exp: iat + 300,
    }
    return this.compact(
      JSON.stringify({ alg: 'ES256', typ: 'infra+jwt', kid, ...header }),
      JSON.stringify({ ...usual, ...claims }),
    )
  }

  compact(header: string, payload: string): string {
    const text = `${encoded(header)}.${encoded(payload)}`
    const key = { key: this.privateKey, dsaEncoding: 'ieee-p1363' as const }
    const token = `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
    secret('token', token)
    return token
  }
}

export function encoded(text: string): string {
  return Buffer.from(text).toString('base64url')
}

export const account = 'the-connectors-own-credential'

export type World = {
  door: Door
  access: HeldAccess
  streams: Streams
  proxy: Proxy
  recorder: Recorder
  signer: Signer
  serving: Serving
  port: number
  /** A caller's connection over TLS. */
  dial(): Promise<Tape>
  /** Dials, sends, and waits for the connector to close. */
  refused(text: string): Promise<string>
  /** Takes Access that follows the last, with a lease that runs. */
  grant(access: Access): void
  /** Where requests go: a test may point it elsewhere. */
  target: UpstreamTarget
}

/** A log whose lines go into the record of the run as well. */
function recorded(log: Log): Log {
  return (level, message, facts) => {
    written('connector log', 'proxy', lineOf(level, message, facts ?? {}))
    log(level, message, facts)
  }
}

let certificates: Promise<[Serving, Serving]> | null = null

/** A connector's data path between real sockets, with Access that lets ana and bo in. */
export async function world(
  t: TestContext,
  limits: Partial<Limits> = {},
  told: Pick<ProxyParts, 'log'> & Partial<ProxyParts> = { log: () => {} },
): Promise<World> {
  certificates ??= Promise.all([certificateFor('127.0.0.1'), certificateFor('d-prod.test')])
  const [upstreamCertificate, serving] = await certificates
  const recorder = new Recorder()
  const upstream = tls.createServer({ ...upstreamCertificate, allowHalfOpen: true }, (socket) =>
    recorder.accept(socket),
  )
  const open = new Set<Duplex>()
  upstream.on('connection', (socket) => void open.add(socket))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const address = upstream.address()
  const target: UpstreamTarget = {
    host: '127.0.0.1',
    port: typeof address === 'object' && address ? address.port : 0,
    tls: { ca: upstreamCertificate.cert },
    credential: () => account,
  }
  const signer = new Signer('k1')
  const access = new HeldAccess(systemClock)
  const streams = new Streams()
  const door = new Door({ access })
  const upstreamOf = () => made.target
  const beforeBytes = () => {}
  const parts = { door, streams, access, upstream: upstreamOf, limits, beforeBytes, ...told }
  parts.log = recorded(told.log)
  secret('cluster token', account)
  const proxy = new Proxy(parts)
  const listening = await listen({ host: '127.0.0.1', port: 0, tls: serving, proxy })
  const { port } = listening
  const made: World = {
    door,
    access,
    streams,
    proxy,
    recorder,
    signer,
    serving,
    port,
    target,
    dial: () => dial(port, serving.cert),
    refused: async (text) => {
      const caller = await dial(port, serving.cert)
      caller.send(text)
      return caller.toEnd()
    },
    grant: (given) => renew(access, { ...given, signingKeys: [signer.publicKey] }),
  }
  made.grant(accessTo())
  t.after(async () => {
    proxy.close()
    await listening.close()
    for (const socket of open) socket.destroy()
    await new Promise<void>((resolve) => upstream.close(() => resolve()))
  })
  return made
}

/** Takes `given` as the newest Access and renews its lease from now. */
export function renew(held: HeldAccess, given: Access, clock: Clock = systemClock): void {
  const revision = (held.current?.revision ?? 0) + 1
  held.take({ ...given, revision })
  const at = new Date(clock.wall()).toISOString()
  held.renew(
    { kind: 'beat', id: 1, at, epoch: given.epoch, revision, since: revision },
    clock.elapsed(),
  )
}

/** A request of somebody's, as kubectl would write it; `more` are whole lines. */
export function requestOf(token: string, line = 'GET /api/v1/pods', ...more: string[]): string {
  const lines = [`${line} HTTP/1.1`, 'Host: d-prod.test', `Authorization: Bearer ${token}`, ...more]
  return `${lines.join('\r\n')}\r\n\r\n`
}
