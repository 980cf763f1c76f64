/** The server: reads its settings, puts the parts together, and stops them in reverse. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createApp, createHealth } from './app.ts'
import { type Authority, openAuthority, serverHosts } from './authority.ts'
import { backup, restore } from './backup.ts'
import type { Store } from './db/database.ts'
import { fromDatabase } from './db/errors.ts'
import { lockDirectory } from './db/lock.ts'
import { migrate } from './db/migrate.ts'
import { openPglite } from './db/pglite.ts'
import { openPostgres } from './db/postgres.ts'
import { Expiry } from './expiry.ts'
import { ensureAdministrator, resetAdministrator } from './first.ts'
import { Follow } from './follow.ts'
import { Hub } from './hub/hub.ts'
import { ensureInstallation, openSealer } from './installation.ts'
import { providerFetch } from './login/network.ts'
import { Metrics, RequestCounts } from './metrics.ts'
import { serve } from './serve.ts'
import { Revalidate } from './revalidate/revalidate.ts'
import { readSettings, type Settings, settingsHelp } from './settings.ts'
import { ensureSigningKey } from './signing.ts'
import { Failure } from './wire/failure.ts'
import { log } from './wire/log.ts'

type Environment = Readonly<Record<string, string | undefined>>
/** What was opened, and how to close it: closed in reverse. */
type Opened = (() => unknown)[]

const clock = (): Date => new Date()

/** `infra server`: runs until it is told to stop. Gives the exit code. */
export async function serverMain(argv: string[], env: Environment): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(help())
    return 0
  }
  const opened: Opened = []
  try {
    await start(argv, env, opened)
    return 0
  } catch (thrown) {
    const error = fromDatabase(thrown)
    log('error', sentenceOf(error), error instanceof Failure ? causeOf(error) : { error })
    return error instanceof Failure && error.code === 'invalid' ? 2 : 1
  } finally {
    await closeAll(opened)
  }
}

async function start(argv: string[], env: Environment, opened: Opened): Promise<void> {
  const [command = '', ...words] = argv
  if (command === 'reset-admin') return resetAdmin(readSettings(words, env), opened)
  if (command === 'backup') return makeBackup(words, env, opened)
  if (command === 'restore') return restoreBackup(words, env, opened)
  return run(readSettings(argv, env), opened)
}

async function run(settings: Settings, opened: Opened): Promise<void> {
  const stopped = untilStopped()
  warnOf(settings)
  const { store, sealer } = await openStorage(settings, opened)
  const { db } = store
  const authority = await openAuthority(settings.dataDir, clock)
  await ensureSigningKey(db, sealer, clock())
  await ensureAdministrator(db, settings, clock())

  const hub = new Hub(store, settings, clock)
  const follow = new Follow(store)
  const expiry = new Expiry({ store, sealer, settings, clock, listeningSince: clock() })
  opened.push(() => hub.close())
  await hub.open()
  opened.push(() => follow.close())
  await follow.open()
  opened.push(() => expiry.close())
  await expiry.open()

  const requests = new RequestCounts()
  const fetch = providerFetch(settings)
  const parts = { db, settings, sealer, authority, hub, follow, requests, clock }
  const app = createApp({ ...parts, providerFetch: fetch })
  const wait = (ms: number) => setTimeout(ms, undefined, { ref: false })
  const revalidate = new Revalidate({ ...parts, providerFetch: fetch, wait })
  opened.push(() => revalidate.close())
  await revalidate.open()
  const tls = await tlsOf(settings, authority)
  const serving = await serve({ ...settings.listen, tls, app })
  opened.push(() => serving.close())
  if (settings.metricsListen) {
    const metrics = new Metrics({ store, hub, requests, clock })
    const app = createHealth(db, () => metrics.text())
    const health = await serve({ ...settings.metricsListen, tls: null, app })
    opened.push(() => health.close())
  }
  log('info', 'listening', {
    url: settings.url,
    address: `${settings.listen.host}:${serving.port}`,
    ca: join(settings.dataDir, 'ca.crt'),
    caFingerprint: authority.fingerprint,
  })
  log('info', 'stopping', { signal: await stopped })
}

/** `infra server reset-admin`: makes an administrator of whoever the settings name. */
async function resetAdmin(settings: Settings, opened: Opened): Promise<void> {
  const { store } = await openStorage(settings, opened)
  await resetAdministrator(store.db, settings, clock())
  log('info', 'the administrator was reset', { email: settings.adminEmail })
}

/** `infra server backup FILE`: beside running servers on PostgreSQL, without one on PGlite. */
async function makeBackup(words: string[], env: Environment, opened: Opened): Promise<void> {
  const [file, flags] = fileOf(words)
  const store = await openStore(readSettings(flags, env), opened)
  const { at, revision } = await backup(store.db, file, clock())
  log('info', 'backed up', { file, at, revision })
}

/** `infra server restore FILE [--replace]`. */
async function restoreBackup(words: string[], env: Environment, opened: Opened): Promise<void> {
  const [file, flags] = fileOf(words)
  const replace = flags.includes('--replace')
  const settings = readSettings(
    flags.filter((flag) => flag !== '--replace'),
    env,
  )
  // Before the database is made: without its key, nothing in the backup could be opened.
  const sealer = openSealer(settings.dataDir, settings.sealingKeyFile, 'must be there')
  const { db } = await openStore(settings, opened)
  const { at, revision } = await restore(file, { db, sealer, now: clock(), replace })
  log('warn', 'restored: what was taken away after the copy was made stands again', {
    ...{ file, copiedAt: at, revision },
  })
}

function fileOf([file, ...flags]: string[]): [string, string[]] {
  if (file === undefined || file.startsWith('-')) throw new Failure('invalid', 'FILE is missing')
  return [file, flags]
}

/** The database, at this program's schema, and the key that opens what is sealed in it. */
async function openStorage(settings: Settings, opened: Opened) {
  const store = await openStore(settings, opened)
  await migrate(store.db)
  const sealer = openSealer(settings.dataDir, settings.sealingKeyFile)
  await ensureInstallation(store.db, sealer)
  return { store, sealer }
}

/** The database as it is. */
async function openStore({ dataDir, databaseUrl }: Settings, opened: Opened): Promise<Store> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const store =
    databaseUrl === null ? await embedded(dataDir, opened) : await openPostgres(databaseUrl)
  opened.push(() => store.close())
  return store
}

function embedded(dataDir: string, opened: Opened): Promise<Store> {
  const lock = lockDirectory(dataDir)
  opened.push(() => lock.release())
  return openPglite(join(dataDir, 'pglite'))
}

async function tlsOf(
  { tls, url, listen }: Settings,
  authority: Authority,
): Promise<{ cert: string; key: string } | null> {
  if (tls.kind === 'off') return null
  if (tls.kind === 'files') {
    return { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') }
  }
  const { certificate, key } = await authority.certifyServer(serverHosts(url, listen.host))
  return { cert: certificate, key }
}

function warnOf({ insecureProviders, tls, tokenSeconds, leaseSeconds }: Settings): void {
  if (tokenSeconds > leaseSeconds) {
    const sentence = 'INFRA_TOKEN_LIFETIME is longer than INFRA_LEASE: a token lives for the lease'
    log('warn', sentence, { tokenSeconds, leaseSeconds })
  }
  if (insecureProviders) {
    log('warn', 'INFRA_INSECURE_PROVIDERS: providers may be plain HTTP and at private addresses')
  }
  if (tls.kind === 'off') log('warn', 'INFRA_TLS=off: the server speaks plain HTTP')
}

/**
 * Resolves with the signal that asks to stop. A second one ends the process at once. A rejection
 * that nobody took is a bug of ours and is logged; it ends no server that still does its work.
 */
function untilStopped(): Promise<string> {
  process.on('unhandledRejection', (error) => log('error', 'a promise was lost', { error }))
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => resolve(signal))
  })
}

/** One that does not close holds up no other. */
async function closeAll(opened: Opened): Promise<void> {
  for (const close of opened.toReversed()) {
    try {
      await close()
    } catch (error) {
      log('warn', 'something did not close', { error })
    }
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : 'the server failed'
}

function causeOf({ cause }: Failure): Record<string, unknown> {
  return cause === undefined ? {} : { cause }
}

function help(): string {
  return `infra server: run the server

Usage: infra server [--SETTING VALUE ...]
       infra server reset-admin [--SETTING VALUE ...]
       infra server backup FILE [--SETTING VALUE ...]
       infra server restore FILE [--replace] [--SETTING VALUE ...]

backup writes the whole database to FILE, which restore reads, into PostgreSQL or the embedded
database, while no server runs. The sealing key and the CA in INFRA_DATA_DIR are not in it: keep
them apart. What was taken away after the backup was made stands again after a restore.

reset-admin makes an administrator of INFRA_ADMIN_EMAIL with a new password, while no server runs.

Settings, by environment variable or flag; all may also stand in the settings file:

${settingsHelp()}

Example:
  infra server --listen 0.0.0.0:8443 --url https://infra.example.com:8443
`
}
