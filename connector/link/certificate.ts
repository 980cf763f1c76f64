/**
 * The serving certificate, which kubectl knows this connector by. The server issues it for a key
 * that is made here and never leaves, in the name of the destination that our access key is for,
 * whatever the request says. It is kept in the data directory, so that a restart finds it though
 * the server is away, and renewed when two thirds of its life are over, without a restart.
 */
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Certificate } from '../../src/wire/destinations.ts'
import { Failure } from '../../src/wire/failure.ts'
import { loadX509 } from '../../src/wire/x509.ts'
import { backoff, pause } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import type { Serving } from '../splice/listen.ts'
import type { Log } from '../status.ts'

/** Asks the server to certify the key of a PKCS#10 request, in PEM. */
export type Issue = (csr: string) => Promise<Certificate>
/** `use` is called for the first certificate and for each after it. */
type Use = (serving: Serving) => void

const curve = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export type Issued = {
  issue: Issue
  path: string
  clock: Clock
  log: Log
  use: Use
  /** How often the clock is looked at: it counts the machine's sleep, which timers do not. */
  lookMs?: number
}

/**
 * Keeps a certificate from the server until it is closed. What an earlier run left is used at
 * once; a new one is asked for at each start all the same, because the server may have another CA
 * by now, and the access key may be for another destination.
 */
export function keepIssued(parts: Issued): { close(): void } {
  const { issue, path, clock, log, use, lookMs = 3_600_000 } = parts
  const stopping = new AbortController()
  const kept = readKept(path, clock.wall())
  if (kept) use(kept)
  const keep = async (): Promise<void> => {
    let failures = 0
    while (!stopping.signal.aborted) {
      try {
        const serving = await request(issue)
        if (stopping.signal.aborted) return
        use(serving)
        store(path, serving, log)
        failures = 0
        const renewAt = clock.elapsed() + renewAfterMs(serving.cert)
        while (clock.elapsed() < renewAt) {
          const leftMs = renewAt - clock.elapsed()
          if (!(await pause(Math.min(lookMs, leftMs), stopping.signal))) return
        }
      } catch (error) {
        log('warn', 'no serving certificate was issued', { error })
        await pause(backoff(failures, { firstMs: 2_000, mostMs: 60_000 }), stopping.signal)
        failures += 1
      }
    }
  }
  void keep()
  return { close: () => stopping.abort() }
}

export type Own = { certFile: string; keyFile: string; log: Log; use: Use; everyMs?: number }

/**
 * Uses a certificate of one's own, and looks every minute whether it was exchanged.
 *
 * @throws {Failure} `invalid` when the two files are no certificate and its key at the start.
 */
export function keepOwn({ certFile, keyFile, log, use, everyMs = 60_000 }: Own): { close(): void } {
  let current = readOwn(certFile, keyFile)
  use(current)
  const timer = setInterval(() => {
    try {
      const next = readOwn(certFile, keyFile)
      if (next.cert === current.cert && next.key === current.key) return
      current = next
      use(next)
      log('info', 'the serving certificate was exchanged')
    } catch (error) {
      // One of the two is there before the other: the next look finds both.
      log('warn', 'the serving certificate cannot be read', { error })
    }
  }, everyMs)
  return { close: () => clearInterval(timer) }
}

/** Two thirds of a certificate's life, by its own dates: this machine's clock may be wrong. */
export function renewAfterMs(cert: string): number {
  const { validFrom, validTo } = new X509Certificate(cert)
  return Math.max(60_000, ((Date.parse(validTo) - Date.parse(validFrom)) * 2) / 3)
}

/** What an earlier run kept, unless it is over, or anything about it is odd. */
export function readKept(path: string, now: number): Serving | null {
  try {
    const text = readFileSync(path, 'utf8')
    const [key] = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----\n?/.exec(text) ?? []
    if (key === undefined) return null
    const serving = fitting({ cert: text.slice(text.indexOf('-----BEGIN CERTIFICATE')), key })
    return Date.parse(new X509Certificate(serving.cert).validTo) > now ? serving : null
  } catch {
    return null
  }
}

/** Makes a key, and has it certified. */
async function request(issue: Issue): Promise<Serving> {
  const x509 = await loadX509()
  const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify'])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: 'CN=connector', keys, signingAlgorithm: curve },
    webcrypto,
  )
  const exported = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const { certificate } = await issue(csr.toString('pem'))
  const key = `${x509.PemConverter.encode(exported, 'PRIVATE KEY')}\n`
  return fitting({ cert: certificate, key })
}

/** One file for both, moved into place whole: a killed process leaves no key without its half. */
function store(path: string, { cert, key }: Serving, log: Log): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(`${path}.new`, `${key}${cert}`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  } catch (error) {
    log('warn', 'the serving certificate cannot be kept for the next start', { error })
  }
}

function readOwn(certFile: string, keyFile: string): Serving {
  try {
    return fitting({ cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') })
  } catch (cause) {
    const sentence = `${certFile} and ${keyFile} are no certificate and its key in PEM`
    throw new Failure('invalid', `INFRA_CONNECTOR_TLS_CERT_FILE: ${sentence}`, { cause })
  }
}

/** @throws when the key is not the one that the certificate is for. */
function fitting(serving: Serving): Serving {
  const isFitting = new X509Certificate(serving.cert).checkPrivateKey(createPrivateKey(serving.key))
  if (isFitting) return serving
  throw new Failure('unavailable', 'the certificate is for another key')
}
