/**
 * The CA of this installation: it certifies connectors, and the server itself where no certificate
 * was given. Its key lies in the data directory, readable by its owner only.
 *
 * All keys are ECDSA P-256: RSA handshakes would let anybody who connects keep a core busy
 * (security.md O2).
 */
import { randomBytes, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { Failure } from './wire/failure.ts'
import { tlsServerName } from './wire/names.ts'
import { loadX509 } from './wire/x509.ts'

type Library = Awaited<ReturnType<typeof loadX509>>
type Certificate = InstanceType<Library['X509Certificate']>

const curve = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signing = { name: 'ECDSA', hash: 'SHA-256' } as const
const dayMs = 86_400_000
const caDays = 3650
/** Short, because it is renewed without a restart and nobody checks for revocation. */
export const connectorDays = 7
const serverDays = 90
/** A clock that is behind must not refuse what was issued a moment ago. */
const backdateMs = 10 * 60_000

export class Authority {
  /** What clients are to trust. */
  readonly caPem: string
  /** SHA-256 of the CA's certificate as `AB:CD:…`, which a person can compare. */
  readonly fingerprint: string
  readonly #library: Library
  readonly #ca: Certificate
  readonly #key: CryptoKey
  readonly #clock: () => Date

  constructor(library: Library, ca: Certificate, key: CryptoKey, clock: () => Date) {
    this.caPem = `${ca.toString('pem')}\n`
    this.fingerprint = new X509Certificate(this.caPem).fingerprint256
    this.#library = library
    this.#ca = ca
    this.#key = key
    this.#clock = clock
  }

  /**
   * Certifies the key of a PKCS#10 request for one destination, for seven days. The names in the
   * request are not believed: whoever holds a connector's key gets its destination's name only.
   *
   * @throws {Failure} `invalid` for a request that is unreadable, not signed by its own key (which
   * proves nothing then), or not of P-256.
   */
  async certifyConnector(
    csr: string,
    destinationId: string,
  ): Promise<{ certificate: string; expiresAt: Date }> {
    const publicKey = await this.#keyOf(csr)
    return this.#issue(publicKey, [tlsServerName(destinationId)], connectorDays)
  }

  /** A key and a certificate for the server itself, for these hosts, with the CA in the chain. */
  async certifyServer(
    hosts: string[],
  ): Promise<{ key: string; certificate: string; expiresAt: Date }> {
    const pair = await generate()
    const issued = await this.#issue(pair.publicKey, hosts, serverDays)
    return { key: await privatePem(pair.privateKey), ...issued }
  }

  async #keyOf(csr: string): Promise<CryptoKey> {
    try {
      const request = new this.#library.Pkcs10CertificateRequest(csr)
      const key = await request.publicKey.export(curve, ['verify'])
      if (await request.verify()) return key
    } catch (cause) {
      throw new Failure('invalid', 'csr: must be a PKCS#10 request in PEM for a P-256 key', {
        cause,
      })
    }
    throw new Failure('invalid', 'csr: its signature is not by its own key')
  }

  async #issue(
    publicKey: CryptoKey,
    hosts: string[],
    days: number,
  ): Promise<{ certificate: string; expiresAt: Date }> {
    const { X509CertificateGenerator } = this.#library
    const now = this.#clock().getTime()
    const expiresAt = new Date(Math.min(now + days * dayMs, this.#ca.notAfter.getTime()))
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: [{ CN: [hosts[0] ?? 'infra'] }],
      issuer: this.#ca.subjectName,
      notBefore: new Date(Math.max(now - backdateMs, this.#ca.notBefore.getTime())),
      notAfter: expiresAt,
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: signing,
      extensions: await leafExtensions(this.#library, hosts, publicKey, this.#ca),
    })
    return { certificate: `${certificate.toString('pem')}\n${this.caPem}`, expiresAt }
  }
}

/** Reads the CA of a data directory, or makes it there at the first start. */
export async function openAuthority(dataDir: string, clock: () => Date): Promise<Authority> {
  const library = await loadX509()
  const paths = { cert: join(dataDir, 'ca.crt'), key: join(dataDir, 'ca.key') }
  // The certificate is written last: a key without one is what a killed first start leaves.
  if (!existsSync(paths.cert)) await makeCa(library, paths, dataDir, clock())
  const ca = new library.X509Certificate(readFileSync(paths.cert, 'utf8'))
  const pem = readFileSync(paths.key, 'utf8')
  const der = library.PemConverter.decodeFirst(pem)
  const key = await crypto.subtle.importKey('pkcs8', der, curve, false, ['sign'])
  return new Authority(library, ca, key, clock)
}

async function makeCa(
  library: Library,
  paths: { cert: string; key: string },
  dataDir: string,
  now: Date,
): Promise<void> {
  const { BasicConstraintsExtension, KeyUsagesExtension, KeyUsageFlags } = library
  const keys = await generate()
  const certificate = await library.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // Told apart from the CA of another installation in whatever lists both.
    name: [{ CN: [`infra ${randomBytes(4).toString('hex')}`] }],
    notBefore: new Date(now.getTime() - backdateMs),
    notAfter: new Date(now.getTime() + caDays * dayMs),
    keys,
    signingAlgorithm: signing,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await library.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  writeWhole(paths.key, await privatePem(keys.privateKey), 0o600)
  writeWhole(paths.cert, `${certificate.toString('pem')}\n`, 0o644)
}

async function leafExtensions(
  library: Library,
  hosts: string[],
  publicKey: CryptoKey,
  ca: Certificate,
) {
  const { KeyUsageFlags, ExtendedKeyUsage } = library
  const names = hosts.map((host) => ({
    type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const),
    value: host,
  }))
  return [
    new library.BasicConstraintsExtension(false, undefined, true),
    new library.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new library.ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new library.SubjectAlternativeNameExtension(names),
    await library.SubjectKeyIdentifierExtension.create(publicKey),
    await library.AuthorityKeyIdentifierExtension.create(ca.publicKey),
  ]
}

/** The hosts that a certificate of the server itself is for. */
export function serverHosts(url: string, listenHost: string): string[] {
  const publicHost = new URL(url).hostname.replace(/^\[|\]$/g, '')
  const wild = new Set(['0.0.0.0', '::'])
  const hosts = [publicHost, listenHost, 'localhost', '127.0.0.1', '::1']
  return [...new Set(hosts)].filter((host) => !wild.has(host))
}

function generate(): Promise<{ publicKey: CryptoKey; privateKey: CryptoKey }> {
  return crypto.subtle.generateKey(curve, true, ['sign', 'verify'])
}

async function privatePem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

/** 16 random bytes, positive and never zero (RFC 5280 section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

function writeWhole(path: string, text: string, mode: number): void {
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, text, { mode })
  renameSync(draft, path)
}
