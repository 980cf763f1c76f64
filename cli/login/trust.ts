/**
 * Whose word a server's certificate stands on. The system's CAs vouch for most; a server with a CA
 * of its own is trusted by a file, or by a person who compares the CA's fingerprint once. Nothing
 * secret is sent before.
 */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { Failure } from '../../src/wire/failure.ts'
import { hinted } from '../hint.ts'
import type { Terminal } from '../terminal/terminal.ts'

type Seen = { isTrusted: boolean; why: string; root: X509Certificate | null }

const handshakeMs = 15_000

/**
 * The CA (PEM) to trust for a server that is not known yet; null when the system trusts it.
 *
 * @throws {Failure} `forbidden` when nobody confirms the CA. Without a person there is nobody to
 * compare, and trusting what answers first would be trusting whoever is in between.
 */
export async function trustedCa(terminal: Terminal, server: string): Promise<string | null> {
  const url = new URL(server)
  if (url.protocol === 'http:') return null
  const seen = await look(url)
  if (seen.isTrusted) return null
  const byFile = `infra login ${server} --ca-file FILE, with the server's ca.crt`
  if (!seen.root) {
    throw hinted(
      new Failure('forbidden', `the certificate of ${server} is not trusted: ${seen.why}`),
      byFile,
    )
  }
  const fingerprint = seen.root.fingerprint256
  if (!terminal.isInteractive) {
    throw hinted(
      new Failure(
        'forbidden',
        `${server} has a certificate from a CA of its own, and nobody is here to confirm it (SHA-256 ${fingerprint})`,
      ),
      byFile,
    )
  }
  terminal.err(`${server} has a certificate from a CA of its own. Its SHA-256 fingerprint is`)
  terminal.err(`  ${fingerprint}`)
  const answer = await terminal.ask(
    'Is this what the administrator told you? Type yes to trust it: ',
  )
  if (answer.toLowerCase() !== 'yes')
    throw hinted(new Failure('forbidden', 'the CA was not confirmed'), byFile)
  return seen.root.toString()
}

/** Shakes hands and looks, without believing: the connection is used for nothing else. */
function look(url: URL): Promise<Seen> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false,
      ...(isIP(host) ? {} : { servername: host }),
    })
    const fail = (cause?: Error): void => {
      socket.destroy()
      reject(new Failure('unavailable', `cannot reach the server at ${url.origin}`, { cause }))
    }
    socket.setTimeout(handshakeMs, fail)
    socket.once('error', fail)
    socket.once('secureConnect', () => {
      resolve(seenOn(socket))
      socket.destroy()
    })
  })
}

function seenOn(socket: TLSSocket): Seen {
  const why = String(socket.authorizationError ?? 'unknown')
  if (socket.authorized) return { isTrusted: true, why, root: null }
  return { isTrusted: false, why, root: rootOf(socket.getPeerCertificate(true)) }
}

/** The CA at the end of the chain, where the server sends one that signed itself. */
function rootOf(leaf: DetailedPeerCertificate): X509Certificate | null {
  let last = leaf
  for (
    let depth = 0;
    depth < 10 && last.issuerCertificate && last.issuerCertificate !== last;
    depth++
  ) {
    last = last.issuerCertificate
  }
  if (!last.raw) return null
  const root = new X509Certificate(last.raw)
  return root.ca && root.verify(root.publicKey) ? root : null
}
