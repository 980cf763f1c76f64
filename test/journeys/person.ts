/** Somebody at a terminal, and what is around them: an environment and a home. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Exit, productCommand, run, Running } from '../processes.ts'
import type { World } from './world.ts'

export type Environment = Record<string, string>

/** Somebody at a terminal: a home, a kubeconfig, the `infra` command and kubectl. */
export class Person {
  readonly email: string
  readonly home: string
  readonly env: Environment
  readonly #world: World

  constructor(world: World, email: string, env: Environment) {
    this.email = email
    this.#world = world
    this.home = join(world.dir, 'home', email)
    mkdirSync(this.home, { recursive: true })
    this.env = {
      ...clean(),
      HOME: this.home,
      INFRA_CONFIG_DIR: join(this.home, 'config'),
      KUBECONFIG: this.kubeconfig,
      INFRA_NON_INTERACTIVE: 'true',
      ...world.around,
      ...env,
    }
  }

  get kubeconfig(): string {
    return join(this.home, 'kubeconfig')
  }

  readKubeconfig(): string {
    return existsSync(this.kubeconfig) ? readFileSync(this.kubeconfig, 'utf8') : ''
  }

  writeKubeconfig(text: string): void {
    writeFileSync(this.kubeconfig, text)
  }

  infra(args: string[], input: string | null = null): Promise<Exit> {
    return run([...productCommand(), ...args], this.env, input)
  }

  /** Runs `infra` and fails unless it did what it was told. */
  async ok(args: string[]): Promise<Exit> {
    const exit = await this.infra(args)
    assert.equal(exit.code, 0, `infra ${args.join(' ')}\n${exit.stdout}${exit.stderr}`)
    return exit
  }

  async json<T>(args: string[]): Promise<T> {
    const { stdout } = await this.ok([...args, '--format', 'json'])
    return JSON.parse(stdout) as T
  }

  kubectl(args: string[], input: string | null = null): Promise<Exit> {
    return run([this.#world.cluster.kubectl, ...args], this.env, input)
  }

  async kubectlOk(args: string[], input: string | null = null): Promise<Exit> {
    const exit = await this.kubectl(args, input)
    assert.equal(exit.code, 0, `kubectl ${args.join(' ')}\n${exit.stdout}${exit.stderr}`)
    return exit
  }

  /** A kubectl that goes on: a watch, an exec, a log that is followed. */
  open(args: string[]): Running {
    return this.#world.opened(new Running([this.#world.cluster.kubectl, ...args], this.env))
  }

  openInfra(args: string[], env: Environment = {}): Running {
    return this.#world.opened(new Running([...productCommand(), ...args], { ...this.env, ...env }))
  }
}

/** The environment without anything of ours or of Kubernetes' that the machine may have set. */
export function clean(): Environment {
  const kept = Object.entries(process.env).filter(([name, value]) => {
    return value !== undefined && !/^(INFRA_|KUBE|DATABASE_URL|NODE_OPTIONS|BUN_)/.test(name)
  })
  return Object.fromEntries(kept) as Environment
}
