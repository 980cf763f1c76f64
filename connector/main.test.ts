/** The connector as a process, between a server, an API server and callers who are played here. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { WebSocketServer, type WebSocket } from 'ws'
import { stringify } from 'yaml'
import { openAuthority } from '../src/authority.ts'
import { FromConnector, type FromServer } from '../src/wire/link.ts'
import { tlsServerName } from '../src/wire/names.ts'
import { version } from '../src/wire/version.ts'
import { freePort } from '../test/ports.ts'
import { processEnded, processStarted } from '../test/secrets/process.ts'
import { textOf } from './link/fixtures.ts'
import { Recorder, Tape } from './far-ends.fixtures.ts'
import { accessTo, certificateFor, requestOf, Signer } from './fixtures.ts'

const root = join(import.meta.dirname, '..')
const key = 'k1.a-secret-of-the-connector'
const bearer = 'a-secret-of-the-cluster'

/** A server that certifies, links and answers pings, until it is closed. */
async function server(dir: string, port: number) {
  const authority = await openAuthority(dir, () => new Date())
  const { certificate, key: tlsKey } = await authority.certifyServer(['127.0.0.1'])
  const https = createServer({ cert: certificate, key: tlsKey })
  const sockets = new WebSocketServer({ noServer: true })
  const raw = new Set<Socket>()
  const signer = new Signer('k1')
  const access = accessTo({ signingKeys: [signer.publicKey] })
  const acks: number[] = []
  https.on('connection', (socket: Socket) => raw.add(socket))
  https.on('request', (request, response) => {
    void (async () => {
      assert.equal(request.headers.authorization, `Bearer ${key}`)
      if (request.method === 'GET') {
        // An older server knows no poll: the link is enough.
        response.writeHead(404, { connection: 'close' }).end('{}')
        return
      }
      const { csr } = JSON.parse(await text(request))
      const issued = await authority.certifyConnector(csr, access.destination.id)
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
      response.end(JSON.stringify({ ...issued, expiresAt: issued.expiresAt.toISOString() }))
    })()
  })
  https.on('upgrade', (request, socket, head) => {
    assert.equal(request.url, '/api/link')
    sockets.handleUpgrade(request, socket, head, (ws) => attend(ws))
  })
  const attend = (ws: WebSocket) => {
    const send = (message: FromServer) => ws.send(JSON.stringify(message))
    const { epoch, revision } = access
    ws.on('message', (said) => {
      const message = FromConnector.parse(JSON.parse(textOf(said)))
      if (message.kind === 'hello') send({ kind: 'access', access })
      if (message.kind === 'ack') acks.push(message.revision)
      if (message.kind !== 'ping') return
      const at = new Date().toISOString()
      send({ kind: 'beat', id: message.id, at, epoch, revision, since: revision })
    })
  }
  await new Promise<void>((listening) => https.listen(port, '127.0.0.1', listening))
  const close = async () => {
    for (const each of sockets.clients) each.terminate()
    const closed = new Promise((resolve) => https.close(resolve))
    https.closeAllConnections()
    for (const socket of raw) socket.destroy()
    await closed
  }
  return { ca: authority.caPem, port: portOf(https.address()), signer, acks, close }
}

/** An API server's place: keeps the bytes it is sent, and leaves watches open. */
async function apiServer(t: TestContext) {
  const serving = await certificateFor('127.0.0.1')
  const recorder = new Recorder()
  const listening = tls.createServer({ ...serving, allowHalfOpen: true }, (s) => recorder.accept(s))
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const { socket } of recorder.connections) socket.destroy()
    listening.close()
  })
  const port = portOf(listening.address())
  return { recorder, ca: serving.cert, port }
}

/** The connector's process, and what it has logged. */
class Process {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  stderr = ''

  constructor(env: Record<string, string>) {
    const program = [join(root, 'cli', 'main.ts'), 'connector']
    const command = [process.execPath, ...program]
    processStarted(command, env)
    this.child = spawn(process.execPath, program, { env: { PATH: process.env['PATH'], ...env } })
    this.child.stderr?.on('data', (part) => (this.stderr += String(part)))
    this.exited = new Promise((resolve) => this.child.once('close', resolve))
    this.child.once('close', () => processEnded(command, env, { stdout: '', stderr: this.stderr }))
  }

  /** The first line with this message. */
  async logged(message: string): Promise<Record<string, unknown>> {
    for (;;) {
      const lines = this.stderr
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
      const found = lines.find((line) => line.message === message)
      if (found) return found
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.stderr}`)
      await new Promise((resolve) => this.child.stderr?.once('data', resolve))
    }
  }
}

async function world(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'infra-connector-'))
  const api = await apiServer(t)
  const server1 = await server(dir, 0)
  let current = server1
  const metrics = await freePort()
  const started: Process[] = []
  t.after(async () => {
    for (const { child, exited } of started) {
      child.kill('SIGKILL')
      await exited
    }
    await current.close()
    rmSync(dir, { recursive: true, force: true })
  })
  writeFileSync(join(dir, 'server-ca.crt'), server1.ca)
  writeFileSync(join(dir, 'kubeconfig'), kubeconfig(api))
  const start = () => {
    const child = new Process({
      INFRA_SERVER: `https://127.0.0.1:${server1.port}`,
      INFRA_SERVER_CA_FILE: join(dir, 'server-ca.crt'),
      INFRA_ACCESS_KEY: key,
      INFRA_CONNECTOR_LISTEN: '127.0.0.1:0',
      INFRA_CONNECTOR_ENDPOINT: 'prod.example.com:443',
      INFRA_CONNECTOR_DATA_DIR: join(dir, 'data'),
      INFRA_METRICS_LISTEN: `127.0.0.1:${metrics}`,
      KUBECONFIG: join(dir, 'kubeconfig'),
    })
    started.push(child)
    return child
  }
  const probe = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${metrics}${path}`)
    return { status: response.status, text: await response.text() }
  }
  const back = async () => (current = await server(dir, server1.port))
  return { api, server: server1, start, probe, back }
}

type Api = Awaited<ReturnType<typeof apiServer>>

function kubeconfig({ ca, port }: Api): string {
  const at = { server: `https://127.0.0.1:${port}` }
  const data = { 'certificate-authority-data': Buffer.from(ca).toString('base64') }
  return stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { ...at, ...data } }],
    users: [{ name: 'u', user: { token: bearer } }],
  })
}

async function caller(port: number, ca: string): Promise<Tape> {
  const socket = tls.connect({ host: '127.0.0.1', port, ca, servername: tlsServerName('d-prod') })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  return new Tape(socket)
}

const watch = 'GET /api/v1/pods?watch=true'
const watchAnswer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nseen\r\n'

test('the connector serves, is ready with Access, cuts what is open when it stops, and restarts knowing nothing', async (t) => {
  const { api, server: first, start, probe, back } = await world(t)
  api.recorder.answer = (connection, head) => {
    if (head.startsWith(watch)) connection.send(watchAnswer)
    else connection.send('HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n')
  }
  const running = start()
  const { port } = await running.logged('listening')
  await ready(probe, 200)
  assert.deepEqual(first.acks, [1])
  const ana = await caller(Number(port), first.ca)
  ana.send(requestOf(first.signer.token('u-ana'), watch))
  await ana.until('seen')
  assert.match(api.recorder.text, /^Impersonate-User: ana@example\.com\r$/m)
  assert.match((await probe('/metrics')).text, /^infra_streams_open 1$/m)

  running.child.kill('SIGTERM')
  await ana.closed
  assert.equal(await running.exited, 0)
  assert.ok(!running.stderr.includes(key) && !running.stderr.includes(bearer))

  // The server is away: its certificate was kept, and its Access was not.
  await first.close()
  const again = start()
  const { port: newPort } = await again.logged('listening')
  assert.equal((await probe('/healthz')).status, 200)
  const unready = await probe('/readyz')
  assert.equal(unready.status, 503)
  assert.match(unready.text, /nobody is let in/)
  const refused = await caller(Number(newPort), first.ca)
  refused.send(requestOf(first.signer.token('u-ana'), 'GET /api/v1/pods'))
  assert.match(await refused.toEnd(), /^HTTP\/1\.1 503 [^]*"kind":"Status"/)

  const second = await back()
  await ready(probe, 200)
  const back1 = await caller(Number(newPort), first.ca)
  back1.send(requestOf(second.signer.token('u-ana'), watch))
  await back1.until('seen')
})

test('settings that are refused end it in a sentence, with no secret in it', async () => {
  const running = new Process({ INFRA_SERVER: 'infra', INFRA_ACCESS_KEY: key })
  assert.equal(await running.exited, 1)
  assert.match(running.stderr, /^error: INFRA_SERVER \(--server\) must be an https URL/)
  assert.ok(!running.stderr.includes(key))
})

test('the version it says is that of the package', () => {
  assert.equal(version, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version)
})

/** Until `/readyz` gives this status. */
async function ready(probe: (path: string) => Promise<{ status: number }>, status: number) {
  while ((await probe('/readyz')).status !== status) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address ? address.port : 0
}
