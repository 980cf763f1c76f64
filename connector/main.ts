/** `infra connector`: reads its settings, wires its parts together, and runs until it is told to stop. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { type Address, formatAddress } from '../src/wire/address.ts'
import { Client } from '../src/wire/client.ts'
import { fetchWith, openSocket } from '../src/wire/dial.ts'
import { Failure } from '../src/wire/failure.ts'
import { log } from '../src/wire/log.ts'
import { version } from '../src/wire/version.ts'
import { HeldAccess } from './access.ts'
import { BindingsWatch } from './cluster/bindings-watch.ts'
import { keepIssued, keepOwn } from './link/certificate.ts'
import { systemClock } from './clock.ts'
import { Cluster } from './cluster/cluster.ts'
import { Deadlines } from './deadlines.ts'
import { Door } from './door/door.ts'
import { Enforcer } from './link/enforcer.ts'
import { type Facts, listenHealth } from './health.ts'
import { LeaseWarning } from './link/lease-warning.ts'
import { Link } from './link/link.ts'
import { listen, type Listening, type Serving } from './splice/listen.ts'
import { Poll } from './link/poll.ts'
import { Proxy } from './splice/proxy.ts'
import { problemsOf, readRights } from './cluster/rights.ts'
import { Roles } from './cluster/roles.ts'
import { type Environment, readSettings, type Settings, settingsHelp } from './settings.ts'
import { Streams } from './streams.ts'

const clock = systemClock
const callMs = 30_000
type Hello = { instance: string; version: string; endpoint: string }

/**
 * Runs a connector until SIGTERM or SIGINT; gives the exit code.
 *
 * @throws {Failure} `invalid` for settings that are refused, `unavailable` where it cannot listen.
 */
export async function connectorMain(argv: string[], env: Environment): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(settingsHelp())
    return 0
  }
  const settings = readSettings(argv, env)
  const cluster = Cluster.find(settings.kubeconfig, env, () => clock.elapsed())
  const stopping = stopSignal()
  const connector = new Connector(settings, cluster)
  try {
    await Promise.race([connector.start(), stopping])
    await stopping
  } finally {
    await connector.stop()
  }
  return 0
}

/** The parts of one connector, and the order in which they come and go. */
class Connector {
  readonly #settings: Settings
  // Access lives in memory only: whoever starts knows nothing, and lets nobody in until told.
  readonly #access = new HeldAccess(clock)
  readonly #streams = new Streams()
  readonly #proxy: Proxy
  readonly #roles: Roles
  readonly #watch: BindingsWatch
  readonly #certified = Promise.withResolvers<Serving>()
  #serving: Serving | null = null
  #listening: Listening | null = null
  readonly #enforcer: Enforcer
  readonly #warning: LeaseWarning
  #link: Link | null = null
  #poll: Poll | null = null
  #problems: string[] | null = null
  /** What was started, to be stopped in reverse; null once it is. */
  #closers: (() => void | Promise<void>)[] | null = []

  constructor(settings: Settings, cluster: Cluster) {
    this.#settings = settings
    const [access, streams] = [this.#access, this.#streams]
    const enforcer = new Enforcer(access, streams, log, clock)
    const onSevered = (count: number) => enforcer.count(count)
    this.#enforcer = enforcer
    this.#warning = new LeaseWarning(access, clock, log)
    const deadlines = new Deadlines({ access, streams, clock, onSevered })
    const upstream = () => cluster.target()
    const { streamLog, limits } = settings
    const door = new Door({ access })
    const beforeBytes = () => deadlines.catchUp()
    const parts = { door, streams, access, upstream, log, streamLog, limits, beforeBytes }
    this.#proxy = new Proxy(parts)
    this.#roles = new Roles({
      ask: cluster.ask,
      current: () => this.#current(),
      log,
      alsoWrong: async () => problemsOf(await readRights(cluster.ask)),
      onProblems: (problems) => this.#reportProblems(problems),
    })
    this.#watch = new BindingsWatch(cluster.follow, () => this.#roles.touched())
    this.#stopLater(() => this.#watch.close())
    this.#stopLater(() => deadlines.stop())
    this.#stopLater(() => this.#warning.close())
    this.#stopLater(() => this.#proxy.close())
    this.#stopLater(() => this.#roles.close())
  }

  /** Ends when the door is open and the link dials; both then go on by themselves. */
  async start(): Promise<void> {
    await this.#openHealth()
    const keeping = this.#keepCertificate()
    this.#stopLater(() => keeping.close())
    // Stopped after the door is shut and all is severed: the goodbye says that nothing is open.
    this.#stopLater(() => this.#link?.close())
    this.#stopLater(() => this.#poll?.close())
    const { port } = await this.#openDoor()
    const endpoint = this.#settings.endpoint ?? guessedEndpoint(port)
    log('info', 'listening', { port, endpoint })
    const hello = { instance: randomUUID(), version, endpoint }
    if (this.#closers === null) return
    this.#link = this.#openLink(hello)
    if (this.#problems) this.#link.report(this.#problems)
    this.#poll = this.#openPoll(hello, this.#link)
  }

  async stop(): Promise<void> {
    const closers = this.#closers ?? []
    this.#closers = null
    for (const close of closers.toReversed()) await close()
    log('info', 'stopped')
  }

  /** What comes into being while all else stops is stopped as well. */
  #stopLater(close: () => void | Promise<void>): void {
    if (this.#closers) this.#closers.push(close)
    else void close()
  }

  async #openHealth(): Promise<void> {
    const { metricsListen } = this.#settings
    if (!metricsListen) return
    const open = (at: Address) => listenHealth(at, () => this.#facts())
    const health = await named('INFRA_METRICS_LISTEN', metricsListen, open)
    this.#stopLater(() => health.close())
  }

  #keepCertificate(): { close(): void } {
    const { ownCertificate, dataDir } = this.#settings
    const use = (serving: Serving) => {
      this.#serving = serving
      this.#listening?.setCertificate(serving)
      this.#certified.resolve(serving)
    }
    if (ownCertificate) return keepOwn({ ...ownCertificate, log, use })
    return keepIssued({ issue: this.#issue, path: join(dataDir, 'serving.pem'), clock, log, use })
  }

  async #openDoor(): Promise<Listening> {
    const tls = await this.#certified.promise
    const open = (at: Address) => listen({ ...at, tls, proxy: this.#proxy })
    const listening = await named('INFRA_CONNECTOR_LISTEN', this.#settings.listen, open)
    this.#listening = listening
    this.#stopLater(() => listening.close())
    this.#stopLater(() => void this.#streams.severAll('the connector is stopping'))
    // Another may have come since the first.
    if (this.#serving && this.#serving !== tls) listening.setCertificate(this.#serving)
    return listening
  }

  readonly #issue = (csr: string) => this.#calls(callMs).certificate(csr)

  /** The connector's routes, asked with the key and the CA as they are now. */
  #calls(timeoutMs: number): Client['connector'] {
    const { server, accessKey, serverCa } = this.#settings
    const fetch = fetchWith(serverCa())
    const client = new Client(server, accessKey(), (request) =>
      fetch(new Request(request, { signal: AbortSignal.timeout(timeoutMs) })),
    )
    return client.connector
  }

  #openPoll(hello: Hello, link: Link): Poll {
    const { pollSeconds, isPollGiven } = this.#settings
    return new Poll({
      ask: (query, timeoutMs) => this.#calls(timeoutMs).access(query),
      acknowledge: (ack, timeoutMs) => this.#calls(timeoutMs).enforced(ack),
      hello,
      access: this.#access,
      enforcer: this.#enforcer,
      clock,
      isLinked: () => link.state === 'linked',
      intervalSeconds: pollSeconds,
      isIntervalGiven: isPollGiven,
      onAccess: () => this.#accessCame(),
      onTaken: (taken) => link.overtaken(taken),
      log,
    })
  }

  #openLink(hello: Hello): Link {
    const { server, accessKey, serverCa } = this.#settings
    const url = `${server.replace(/^http/, 'ws').replace(/\/+$/, '')}/api/link`
    return new Link({
      open: () => openSocket(url, accessKey(), serverCa()),
      hello,
      access: this.#access,
      enforcer: this.#enforcer,
      clock,
      onAccess: () => this.#accessCame(),
      log,
    })
  }

  #accessCame(): void {
    this.#roles.changed()
    const { current } = this.#access
    if (current) this.#watch.begin(current.destination.id)
  }

  #reportProblems(problems: string[]): void {
    this.#problems = problems
    this.#link?.report(problems)
  }

  /** Access to keep bindings by; while the lease does not run, the cluster is left as it is. */
  #current() {
    const access = this.#access
    const inUse = access.rolesInUse()
    if (!access.current || !inUse || access.lapse() !== null) return null
    return { destinationId: access.current.destination.id, inUse }
  }

  #facts(): Facts {
    const lapse = this.#access.lapse()
    const endsAt = this.#access.leaseEndsAt
    return {
      isServing: this.#listening !== null,
      lapse,
      isLinked: this.#link?.state === 'linked',
      revision: this.#access.current?.revision ?? null,
      leaseLeftSeconds: lapse || endsAt === null ? 0 : (endsAt - clock.elapsed()) / 1000,
      streams: this.#streams.count,
      connections: this.#proxy.places.open,
      closed: this.#proxy.places.closed,
      severed: this.#enforcer.severed,
      enforcement: this.#enforcer.seconds,
      isLeaseHalfOver: this.#warning.isHalfOver,
      leaseWarnings: this.#warning.count,
      polls: this.#poll?.counts ?? { answered: 0, failed: 0, refused: 0 },
      refused: this.#proxy.refusals.counts,
      ended: this.#proxy.records.ended,
      carried: this.#proxy.records.carried,
      problems: this.#problems?.length ?? 0,
    }
  }
}

/** Listens, on IPv4 alone where this machine knows no IPv6; a failure names the setting. */
async function named<T>(
  name: string,
  address: Address,
  open: (address: Address) => Promise<T>,
): Promise<T> {
  try {
    return await open(address)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    const isWithoutIpv6 = code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
    if (address.host === '::' && isWithoutIpv6) {
      return named(name, { ...address, host: '0.0.0.0' }, open)
    }
    const sentence = `${name}: cannot listen on ${formatAddress(address)} (${code})`
    throw new Failure('unavailable', sentence, { cause })
  }
}

function guessedEndpoint(port: number): string {
  const endpoint = `${hostname()}:${port}`
  const hint = 'INFRA_CONNECTOR_ENDPOINT is not set: kubectl is told the name of this host'
  log('warn', hint, { endpoint })
  return endpoint
}

/** Resolves at the first signal to stop; a second one ends the process as if there were no first. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.off('SIGTERM', stop)
      process.off('SIGINT', stop)
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}
