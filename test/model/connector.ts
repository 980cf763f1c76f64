/** One connector of a run, the proxy that its link goes through, and what it says of itself. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { Running } from '../processes.ts'
import type { SwallowingProxy } from '../proxy.ts'
import { secret } from '../secrets/record.ts'
import type { Door } from './callers.ts'
import type { History } from './history.ts'
import type { World } from './world.ts'

export class Connector {
  readonly name: string
  readonly port: number
  readonly proxy: SwallowingProxy
  readonly keyFile: string
  readonly kubeconfig: string
  /** The id of the destination that it serves. */
  destination = ''
  running: Running | null = null
  #isStruck = false
  readonly #world: World
  readonly #history: History

  constructor(parts: {
    world: World
    history: History
    name: string
    port: number
    proxy: SwallowingProxy
  }) {
    this.name = parts.name
    this.port = parts.port
    this.proxy = parts.proxy
    this.#world = parts.world
    this.#history = parts.history
    this.keyFile = join(parts.world.dir, `key-of-${parts.name}`)
    this.kubeconfig = join(parts.world.dir, `kubeconfig-of-${parts.name}`)
  }

  get door(): Door {
    const { name, port, destination } = this
    return { connector: name, port, destination, ca: this.#world.serving.cert }
  }

  beside({ destination, accessKey }: { destination: string; accessKey: string }): void {
    secret('access key', accessKey)
    writeFileSync(this.keyFile, accessKey, { mode: 0o600 })
    this.destination = destination
  }

  start(): void {
    if (this.#world.isOver) return
    this.#world.note(this.name, 'started')
    const running = new Running(this.#world.command(['connector']), this.#world.connectorEnv(this))
    this.running = running
    let rest = ''
    running.child.stderr?.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      if (this.running === running) for (const line of lines) this.#heard(line)
    })
  }

  async kill(): Promise<void> {
    await this.running?.stop('SIGKILL')
    this.#world.note(this.name, 'ended')
  }

  get isUp(): boolean {
    return this.running !== null && !this.running.hasEnded
  }

  swallow(): void {
    this.#isStruck = true
    this.proxy.swallow()
    this.#world.note(this.name, 'down')
  }

  cut(): void {
    this.#isStruck = true
    this.proxy.cut()
    this.#world.note(this.name, 'down')
  }

  slow(byMs: number): void {
    this.#isStruck = true
    this.proxy.slow(byMs)
    this.#world.note(this.name, 'slow', byMs)
  }

  /** A link that nothing was done to stays as it is: healing closes what may have lost bytes. */
  heal(): void {
    if (!this.#isStruck) return
    this.#isStruck = false
    this.#world.note(this.name, 'up')
    this.proxy.pass()
  }

  #heard(line: string): void {
    const at = this.#history.now
    const connector = this.name
    const taken = /"message":"access taken","revision":([0-9]+)/.exec(line)
    if (taken) {
      const revision = Number(taken[1])
      this.#history.add({ kind: 'enforced', at, connector, revision, isExact: true })
    }
    const told = /"message":"(half of the lease[^"]*|this connector is admitted[^"]*)"/.exec(line)
    if (told) this.#history.add({ kind: 'warned', at, connector, what: told[1] ?? '' })
  }
}

export function kubeconfig(port: number, ca: string): string {
  const token = randomBytes(24).toString('hex')
  secret('cluster token', token)
  const name = 'model'
  return stringify({
    'current-context': name,
    contexts: [{ name, context: { cluster: name, user: name } }],
    clusters: [
      {
        name,
        cluster: {
          server: `https://127.0.0.1:${port}`,
          'certificate-authority-data': Buffer.from(ca).toString('base64'),
        },
      },
    ],
    users: [{ name, user: { token } }],
  })
}
