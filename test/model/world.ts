/**
 * The processes of a run: one server, a connector or two beside each of three destinations, and the
 * database; what stands between them, and all that can happen to them. From sources, so that a test
 * may shift their clocks.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificateFor } from '../../connector/fixtures.ts'
import type { Serving } from '../../connector/splice/listen.ts'
import type { Fetch } from '../../src/wire/client.ts'
import { fetchWith } from '../../src/wire/dial.ts'
import { clean } from '../journeys/person.ts'
import { freePort } from '../ports.ts'
import { type Postgres, startPostgres } from '../postgres.ts'
import { root, Running } from '../processes.ts'
import { startProxy } from '../proxy.ts'
import { Connector, kubeconfig } from './connector.ts'
import type { Ends } from './ends.ts'
import type { Fault, History } from './history.ts'
import { slowestDialMs, startUpstream, type Arrived } from './upstream.ts'

export type StoreKind = 'pglite' | 'postgres'
export type Replica = { name: string; destination: string }
/** Two replicas beside the first; its end of lease cuts, as that of the second. */
export const replicas: Replica[] = [
  { name: 'strict-1', destination: 'strict' },
  { name: 'strict-2', destination: 'strict' },
  { name: 'usual-1', destination: 'usual' },
  { name: 'keeping-1', destination: 'keeping' },
]
export const destinations = ['strict', 'usual', 'keeping']
export const usualLeaseSeconds = 30

const adminEmail = 'admin@example.com'
const callMs = 30_000
const startTries = 8
const shifting = join(import.meta.dirname, 'clock.ts')

export type WorldParts = {
  ends: Ends
  history: History
  store: StoreKind
  arrived: (connector: string, request: Arrived) => void
  chance: () => number
}

export class World {
  readonly dir: string
  readonly url: string
  readonly adminKey = `${randomBytes(9).toString('hex')}.${randomBytes(32).toString('base64url')}`
  readonly connectors = new Map<string, Connector>()
  readonly serving: Serving
  readonly fetch: Fetch
  server: Running | null = null
  /** Nothing is started any more. */
  isOver = false
  readonly #parts: WorldParts
  readonly #port: number
  readonly #postgres: Postgres | null
  #serverOffsetMs = 0

  private constructor(
    parts: WorldParts,
    made: { dir: string; port: number; serving: Serving; postgres: Postgres | null },
  ) {
    this.#parts = parts
    this.dir = made.dir
    this.#port = made.port
    this.serving = made.serving
    this.#postgres = made.postgres
    this.url = `https://127.0.0.1:${made.port}`
    const fetch = fetchWith(this.serving.cert)
    this.fetch = (request) => fetch(new Request(request, { signal: AbortSignal.timeout(callMs) }))
  }

  static async start(parts: WorldParts): Promise<World> {
    const dir = mkdtempSync(join(tmpdir(), 'infra-model-'))
    parts.ends.after(() => rmSync(dir, { recursive: true, force: true }))
    const postgres = parts.store === 'postgres' ? await startPostgres() : null
    if (postgres) parts.ends.after(() => postgres.end())
    const serving = await certificateFor('127.0.0.1')
    const world = new World(parts, { dir, port: await freePort(), serving, postgres })
    writeFileSync(join(dir, 'ca.crt'), serving.cert)
    writeFileSync(join(dir, 'tls.key'), serving.key, { mode: 0o600 })
    world.setClock('server', 0)
    parts.ends.after(() => world.server?.stop('SIGKILL'))
    await world.startServer()
    return world
  }

  get serverOffsetMs(): number {
    return this.#serverOffsetMs
  }

  get hasDatabase(): boolean {
    return this.#postgres !== null
  }

  note(whom: string, what: Fault, ms = 0): void {
    const { history } = this.#parts
    history.add({ kind: 'fault', at: history.now, whom, what, ms })
  }

  /** Again where the first word of it is its end: its database may be on its way back. */
  async startServer(): Promise<void> {
    this.note('server', 'up')
    for (let triesLeft = startTries; !this.isOver; triesLeft -= 1) {
      const server = new Running(this.#command('server'), this.#serverEnv())
      this.server = server
      try {
        await server.says(/"message":"listening"/, 'stderr')
        return
      } catch (error) {
        await server.stop('SIGKILL')
        if (triesLeft === 0) throw error
      }
    }
  }

  async killServer(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.server?.stop(signal)
    this.note('server', 'down')
  }

  get isServerUp(): boolean {
    return this.server !== null && !this.server.hasEnded
  }

  /** Stands still, as a machine that is suspended; what it has open stays open. */
  suspendServer(isSuspended: boolean): void {
    if (!isSuspended) this.note('server', 'up')
    this.server?.child.kill(isSuspended ? 'SIGSTOP' : 'SIGCONT')
    if (isSuspended) this.note('server', 'down')
  }

  async killDatabase(): Promise<void> {
    await this.#postgres?.kill()
    this.note('database', 'down')
  }

  async startDatabase(): Promise<void> {
    this.note('database', 'up')
    await this.#postgres?.start()
  }

  setClock(whom: string, ms: number): void {
    const path = this.#clockFile(whom)
    // Both before and after: within these two it begins to be so.
    this.note(whom, 'clock', ms)
    writeFileSync(path, String(ms))
    if (whom === 'server') this.#serverOffsetMs = ms
  }

  /** All that is stored, as of a copy of the disk; put back while no server runs. */
  async copy(): Promise<() => Promise<void>> {
    const postgres = this.#postgres
    if (postgres) {
      const copy = await postgres.copy()
      return () => postgres.putBack(copy)
    }
    const data = join(this.dir, 'server', 'pglite')
    const copy = join(this.dir, `copy-${randomBytes(4).toString('hex')}`)
    cpSync(data, copy, { recursive: true })
    return async () => {
      rmSync(data, { recursive: true })
      cpSync(copy, data, { recursive: true })
    }
  }

  /** The same by the product's own commands. */
  async backup(): Promise<() => Promise<void>> {
    const file = join(this.dir, `backup-${randomBytes(4).toString('hex')}.gz`)
    await this.#run(['backup', file])
    return () => this.#run(['restore', file, '--replace'])
  }

  async addConnector(
    replica: Replica,
    made: { destination: string; accessKey: string },
  ): Promise<Connector> {
    const { ends, history, arrived, chance } = this.#parts
    const { name } = replica
    const dialMs = () => chance() * slowestDialMs
    const upstream = await startUpstream(ends, this.serving, (one) => arrived(name, one), dialMs)
    const proxy = await startProxy(this.#port)
    ends.after(() => proxy.close())
    const port = await freePort()
    const connector = new Connector({ world: this, history, name, port, proxy })
    writeFileSync(connector.kubeconfig, kubeconfig(upstream.port, this.serving.cert), {
      mode: 0o600,
    })
    this.connectors.set(name, connector)
    ends.after(() => connector.running?.stop('SIGKILL'))
    this.setClock(name, 0)
    connector.beside(made)
    return connector
  }

  command(words: string[]): string[] {
    return this.#command(...words)
  }

  connectorEnv({ name, port, proxy, keyFile, kubeconfig: file }: Connector) {
    const dir = join(this.dir, name)
    mkdirSync(dir, { recursive: true })
    return {
      ...clean(),
      INFRA_SERVER: `https://127.0.0.1:${proxy.port}`,
      INFRA_SERVER_CA_FILE: join(this.dir, 'ca.crt'),
      INFRA_ACCESS_KEY_FILE: keyFile,
      INFRA_CONNECTOR_LISTEN: `127.0.0.1:${port}`,
      // The same of both replicas: another endpoint waits for consent.
      INFRA_CONNECTOR_ENDPOINT: `${name.replace(/-.*/, '')}.example.com:6443`,
      INFRA_CONNECTOR_DATA_DIR: dir,
      INFRA_CONNECTOR_TLS_CERT_FILE: join(this.dir, 'ca.crt'),
      INFRA_CONNECTOR_TLS_KEY_FILE: join(this.dir, 'tls.key'),
      INFRA_TEST_SHIFTED_CLOCK_FILE: this.#clockFile(name),
      KUBECONFIG: file,
    }
  }

  #clockFile(whom: string): string {
    return join(this.dir, `clock-of-${whom}`)
  }

  #serverEnv() {
    return {
      ...clean(),
      INFRA_LISTEN: `127.0.0.1:${this.#port}`,
      INFRA_DATA_DIR: join(this.dir, 'server'),
      INFRA_TLS_CERT_FILE: join(this.dir, 'ca.crt'),
      INFRA_TLS_KEY_FILE: join(this.dir, 'tls.key'),
      INFRA_LEASE: `${usualLeaseSeconds}s`,
      INFRA_ADMIN_EMAIL: adminEmail,
      INFRA_ADMIN_PASSWORD: 'correct horse battery staple',
      INFRA_ADMIN_ACCESS_KEY: this.adminKey,
      INFRA_TEST_SHIFTED_CLOCK_FILE: this.#clockFile('server'),
      ...(this.#postgres ? { DATABASE_URL: this.#postgres.url } : {}),
    }
  }

  #command(...words: string[]): string[] {
    const how = process.versions['bun'] ? '--preload' : '--import'
    return [process.execPath, `${how}=${shifting}`, join(root, 'cli', 'main.ts'), ...words]
  }

  async #run(words: string[]): Promise<void> {
    const running = new Running(this.#command('server', ...words), this.#serverEnv())
    const { code, stderr } = await running.ends()
    if (code !== 0) throw new Error(`infra server ${words[0]} failed:\n${stderr}`)
  }
}
