/**
 * The world of a journey: a server, connectors and people, each a real process of its own, before a
 * real API server. Everything is driven from outside, by the commands and settings that people use.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Cluster, sharedCluster } from '../cluster/cluster.ts'
import { fetchWith } from '../../src/wire/dial.ts'
import { freshDatabase } from '../postgres.ts'
import { type Exit, patienceMs, productCommand, Running, until } from '../processes.ts'
import { recordAnswer, recordEvents } from '../secrets/journey.ts'
import { freePort } from '../ports.ts'
import { clean, type Environment, Person } from './person.ts'

const adminEmail = 'admin@example.com'

export type Place = {
  /** The server's settings beside those of every journey. */
  env?: Environment
  store?: 'PGlite' | 'as the run says'
  /** The host of every URL and endpoint; a name is of this machine. */
  host?: string
  /** What every process but the server has in its environment. */
  around?: Environment
  /** What stands before the server and ends TLS for it. */
  front?: { url: string; caFile: string }
}

/** Starts a server in a new folder, beside a real cluster; all of it ends with the test. */
export async function journey(t: TestContext, place: Place = {}): Promise<World> {
  const cluster = await sharedCluster()
  const world = await serverAlone(t, place)
  world.cluster = cluster
  return world
}

/** The same without a cluster: for what is between a server and its connectors alone. */
export async function serverAlone(t: TestContext, place: Place = {}): Promise<World> {
  const { env = {}, store = 'as the run says', host } = place
  const dir = mkdtempSync(join(tmpdir(), 'infra-journey-'))
  const postgres = store === 'PGlite' ? null : process.env['INFRA_TEST_DATABASE_URL']
  const database = postgres && !env['DATABASE_URL'] ? await freshDatabase(postgres) : null
  const stored = database ? { DATABASE_URL: database.url } : {}
  const world = new World(dir, await freePort(host), { ...place, env: { ...stored, ...env } })
  t.after(async () => {
    await world.stop()
    await database?.drop()
    rmSync(dir, { recursive: true, force: true })
  })
  await world.startServer()
  return world
}

export class World {
  readonly dir: string
  readonly url: string
  /** Where the server listens. */
  readonly port: number
  readonly dataDir: string
  readonly adminKey = `${randomBytes(9).toString('hex')}.${randomBytes(32).toString('base64url')}`
  readonly admin: Person
  server: Running | null = null
  readonly connectors: Connector[] = []
  readonly #place: Place
  readonly #opened: Running[] = []
  #cluster: Cluster | null = null

  constructor(dir: string, port: number, place: Place = {}) {
    this.dir = dir
    this.port = port
    this.#place = place
    this.url = place.front?.url ?? `https://${place.host ?? '127.0.0.1'}:${port}`
    this.dataDir = join(dir, 'server')
    this.admin = new Person(this, adminEmail, {
      INFRA_SERVER: this.url,
      INFRA_SERVER_CA_FILE: this.caFile,
      INFRA_ACCESS_KEY: this.adminKey,
    })
  }

  /** Set once it runs: a server needs none, and the demo shows one while it is being built. */
  get cluster(): Cluster {
    if (!this.#cluster) throw new Error('this world has no cluster yet')
    return this.#cluster
  }

  set cluster(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Null: the server's database is embedded, in its data directory. */
  get databaseUrl(): string | null {
    return this.#place.env?.['DATABASE_URL'] ?? null
  }

  /** What every process but the server has in its environment. */
  get around(): Environment {
    return this.#place.around ?? {}
  }

  /** An address of this machine, as it stands in a setting. */
  get listenHost(): string {
    return this.#place.host?.startsWith('[') ? this.#place.host : '127.0.0.1'
  }

  get caFile(): string {
    return this.#place.front?.caFile ?? join(this.dataDir, 'ca.crt')
  }

  async startServer(): Promise<Running> {
    const server = new Running([...productCommand(), 'server'], {
      ...clean(),
      INFRA_LISTEN: `${this.listenHost}:${this.port}`,
      ...(this.#place.host === undefined ? {} : { INFRA_URL: this.url }),
      INFRA_DATA_DIR: this.dataDir,
      INFRA_ADMIN_EMAIL: adminEmail,
      INFRA_ADMIN_PASSWORD: 'correct horse battery staple',
      INFRA_ADMIN_ACCESS_KEY: this.adminKey,
      ...this.#place.env,
    })
    this.server = server
    await server.says(/"message":"listening"/, 'stderr')
    return server
  }

  /** A destination with its connector, linked and ready, by way of `proxy` where one is given. */
  async destination(name: string, options: ConnectorOptions = {}): Promise<Connector> {
    const { id, accessKey } = await this.admin.json<{ id: string; accessKey: string }>([
      'destinations',
      'add',
      name,
    ])
    const connector = new Connector(
      this,
      { name, id, accessKey, port: await freePort(this.listenHost) },
      options,
    )
    this.connectors.push(connector)
    await connector.start()
    return connector
  }

  /** Somebody with a password, a home of their own and nothing granted. */
  async person(email: string): Promise<Person> {
    const { password } = await this.admin.json<{ password: string }>(['users', 'add', email])
    return new Person(this, email, {
      INFRA_SERVER: this.url,
      INFRA_SERVER_CA_FILE: this.caFile,
      INFRA_USER: email,
      INFRA_PASSWORD: password,
      INFRA_NEW_PASSWORD: `new ${password}`,
    })
  }

  /** Somebody who has logged in. */
  async loggedIn(email: string): Promise<Person> {
    const person = await this.person(email)
    await person.ok(['login'])
    return person
  }

  /** Somebody of whom the server knows nothing yet. */
  stranger(name: string): Person {
    return new Person(this, name, { INFRA_SERVER: this.url, INFRA_SERVER_CA_FILE: this.caFile })
  }

  /** One request of the administrator's to the API, without a process of its own. */
  async api(method: string, path: string, body?: object): Promise<Response> {
    const request = new Request(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.adminKey}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(patienceMs),
    })
    return fetchWith(readFileSync(this.caFile, 'utf8'))(request)
  }

  /** Keeps a process that a test started, so that it ends with the test. */
  opened(running: Running): Running {
    this.#opened.push(running)
    return running
  }

  async stop(): Promise<void> {
    // Whoever was made to stand still can neither answer nor end.
    for (const { running } of [{ running: this.server }, ...this.connectors]) {
      if (running && !running.hasEnded) running.child.kill('SIGCONT')
    }
    await this.#record()
    await Promise.allSettled(this.#opened.map((running) => running.stop('SIGKILL')))
    await Promise.allSettled(this.connectors.map((connector) => connector.stop()))
    await this.server?.stop()
  }

  /** What there is to read at the end, of those that still answer. */
  async #record(): Promise<void> {
    if (this.server && !this.server.hasEnded) {
      await recordEvents((path) => this.api('GET', path))
    }
    for (const { running, metricsUrl } of this.connectors) {
      if (!running || running.hasEnded) continue
      await recordAnswer('metrics', 'connector', `${await metricsUrl}/metrics`)
      await recordAnswer('readiness', 'connector', `${await metricsUrl}/readyz`)
    }
  }
}

export type ConnectorOptions = {
  env?: Environment
  server?: string
  /** What starts the connector in its place, and becomes it. */
  through?: string[]
}

export class Connector {
  readonly name: string
  readonly id: string
  readonly accessKey: string
  readonly endpoint: string
  readonly metricsUrl: Promise<string>
  running: Running | null = null
  readonly #world: World
  readonly #options: ConnectorOptions
  readonly #metricsPort: Promise<number>

  constructor(
    world: World,
    { name, id, accessKey, port }: { name: string; id: string; accessKey: string; port: number },
    options: ConnectorOptions,
  ) {
    this.name = name
    this.id = id
    this.accessKey = accessKey
    this.endpoint = `${world.listenHost}:${port}`
    this.#world = world
    this.#options = options
    this.#metricsPort = freePort()
    this.metricsUrl = this.#metricsPort.then((metricsPort) => `http://127.0.0.1:${metricsPort}`)
  }

  /** Starts the process, and waits until it serves and has Access unless told not to. */
  async start({ untilReady = true }: { untilReady?: boolean } = {}): Promise<Running> {
    const kubeconfig = await this.#world.cluster.connectorKubeconfig()
    const { through = [] } = this.#options
    this.running = new Running([...through, ...productCommand(), 'connector'], {
      ...clean(),
      INFRA_SERVER: this.#options.server ?? this.#world.url,
      INFRA_SERVER_CA_FILE: this.#world.caFile,
      INFRA_ACCESS_KEY: this.accessKey,
      INFRA_CONNECTOR_LISTEN: this.endpoint,
      INFRA_CONNECTOR_ENDPOINT: this.endpoint,
      INFRA_CONNECTOR_DATA_DIR: join(this.#world.dir, `connector-${this.name}`),
      INFRA_METRICS_LISTEN: `127.0.0.1:${await this.#metricsPort}`,
      KUBECONFIG: kubeconfig,
      ...this.#world.around,
      ...this.#options.env,
    })
    if (untilReady) await this.ready()
    return this.running
  }

  async ready(): Promise<void> {
    await until(`connector ${this.name} is ready`, async () => {
      if (this.running?.hasEnded) throw new Error(`connector ended:\n${this.running.stderr}`)
      return (await this.readiness()) === 200
    })
  }

  /** The status of `/readyz`; null when nothing listens. */
  async readiness(): Promise<number | null> {
    const response = await fetch(`${await this.metricsUrl}/readyz`).catch(() => null)
    return response?.status ?? null
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit | null> {
    return (await this.running?.stop(signal)) ?? null
  }
}
