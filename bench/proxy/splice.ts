/**
 * The floor under the connector: TLS of the same runtime on both sides, and nothing in between but
 * bytes handed on. It judges nobody and reads nothing, so it is right for the load of this benchmark
 * alone, which waits for each answer.
 *
 * `bun splice.ts PORT CERT KEY UPSTREAM-PORT CA`
 */
import { readFileSync } from 'node:fs'
import tls from 'node:tls'

const [port = '', cert = '', key = '', upstreamPort = '', ca = ''] = process.argv.slice(2)
const read = (path: string) => readFileSync(path, 'utf8')
const upstream = { host: '127.0.0.1', port: Number(upstreamPort), ca: read(ca) }

/** A connection to the upstream, and whose it is now. */
type Far = { socket: tls.TLSSocket; caller: tls.TLSSocket | null; begun: number }
const kept: Far[] = []

function dial(): Far {
  const far: Far = { socket: tls.connect(upstream), caller: null, begun: 0 }
  far.socket.setNoDelay(true)
  far.socket.on('data', (bytes: Buffer) => {
    if (far.caller?.write(bytes) === false) far.socket.pause()
  })
  far.socket.on('drain', () => far.caller?.resume())
  far.socket.on('error', () => far.socket.destroy())
  far.socket.on('close', () => far.caller?.destroy())
  return far
}

const server = tls.createServer({ cert: read(cert), key: read(key) }, (caller) => {
  const far = kept.pop() ?? dial()
  far.caller = caller
  far.begun = far.socket.bytesRead
  caller.setNoDelay(true)
  caller.on('data', (bytes: Buffer) => {
    if (!far.socket.write(bytes)) caller.pause()
  })
  caller.on('drain', () => far.socket.resume())
  caller.on('error', () => caller.destroy())
  caller.on('close', () => {
    far.caller = null
    // One small answer has come whole; a watch, or more than that, may be in the middle.
    const came = far.socket.bytesRead - far.begun
    if (came > 2000 && came < 4000) kept.push(far)
    else far.socket.destroy()
  })
})
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 })
process.stdin.resume().on('end', () => process.exit(0))
