import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Authority, connectorDays, openAuthority, serverHosts } from './authority.ts'
import { loadX509 } from './wire/x509.ts'

const now = new Date('2026-03-01T00:00:00Z')
const dayMs = 86_400_000

function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'infra-authority-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

const open = (t: TestContext): Promise<Authority> => openAuthority(directory(t), () => now)

/** A PKCS#10 request for a key of `curve`, asking for names that are not its to ask for. */
async function request(curve: 'P-256' | 'P-384', hash: 'SHA-256' | 'SHA-384'): Promise<string> {
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await loadX509()
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: curve }, true, [
    'sign',
    'verify',
  ])
  const made = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=infra.example.com',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash },
    extensions: [
      new SubjectAlternativeNameExtension([{ type: 'dns', value: 'infra.example.com' }]),
    ],
  })
  return made.toString('pem')
}

function leafOf(chain: string): X509Certificate {
  return new X509Certificate(chain)
}

test('a connector is certified for its destination, whatever names it asks for', async (t) => {
  const authority = await open(t)
  const issued = await authority.certifyConnector(await request('P-256', 'SHA-256'), 'abc123')
  const leaf = leafOf(issued.certificate)
  assert.equal(leaf.subjectAltName, 'DNS:abc123.destination.infra')
  assert.equal(leaf.subject, 'CN=abc123.destination.infra')
  assert.ok(leaf.verify(new X509Certificate(authority.caPem).publicKey))
  assert.equal(leaf.ca, false)
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  assert.equal(leaf.validToDate.getTime(), now.getTime() + connectorDays * dayMs)
  assert.equal(issued.expiresAt.getTime(), leaf.validToDate.getTime())
  assert.equal(issued.certificate.match(/BEGIN CERTIFICATE/g)?.length, 2)
})

test('a request that is not signed by its own key, of another curve, or unreadable is refused', async (t) => {
  const authority = await open(t)
  const good = await request('P-256', 'SHA-256')
  const bytes = Buffer.from(good.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) ^ 1
  const tampered = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  for (const csr of [tampered, await request('P-384', 'SHA-384'), 'nonsense', '']) {
    await assert.rejects(authority.certifyConnector(csr, 'abc123'), { code: 'invalid' })
  }
})

test('the server has a certificate for its hosts, names and addresses apart', async (t) => {
  const authority = await open(t)
  const { certificate } = await authority.certifyServer(['infra.example.com', '127.0.0.1', '::1'])
  assert.equal(
    leafOf(certificate).subjectAltName,
    'DNS:infra.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
  )
  const hosts = serverHosts('https://[2001:db8::1]:8443', '0.0.0.0')
  assert.deepEqual(hosts, ['2001:db8::1', 'localhost', '127.0.0.1', '::1'])
})

test('the CA outlives a restart, and its key is for its owner only', async (t) => {
  const dir = directory(t)
  const first = await openAuthority(dir, () => now)
  const again = await openAuthority(dir, () => now)
  assert.equal(again.caPem, first.caPem)
  assert.match(first.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
  assert.equal(statSync(join(dir, 'ca.key')).mode & 0o777, 0o600)
})

test('a first start that was killed between key and certificate is made good', async (t) => {
  const dir = directory(t)
  const first = await openAuthority(dir, () => now)
  unlinkSync(join(dir, 'ca.crt'))
  const again = await openAuthority(dir, () => now)
  assert.notEqual(again.caPem, first.caPem)
  const issued = await again.certifyConnector(await request('P-256', 'SHA-256'), 'abc123')
  assert.ok(leafOf(issued.certificate).verify(new X509Certificate(again.caPem).publicKey))
})
