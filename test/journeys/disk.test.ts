/** Full disks, as RLIMIT_FSIZE makes one: no file may grow. Nothing acknowledged is lost by it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fetchWith } from '../../src/wire/dial.ts'
import { type Running, until } from '../processes.ts'
import { linesOf, type Told } from './told.ts'
import { journey, serverAlone, type World } from './world.ts'

/** PGlite stands still when its log of changes cannot be written: whoever asks waits in vain. */
const unansweredMs = 10_000

test('PGlite on a full disk acknowledges nothing, and what it had acknowledged is there after a restart with room', async (t) => {
  const world = await serverAlone(t, { store: 'PGlite' })
  const acknowledged: string[] = []
  for (const name of ['ana', 'ben', 'eva']) if (await add(world, name)) acknowledged.push(name)
  assert.equal(acknowledged.length, 3)
  execFileSync('prlimit', [`--pid=${pidOf(world.server)}`, '--fsize=1:'])
  assert.equal(await add(world, 'gus'), false)

  await world.server?.stop('SIGKILL')
  await world.startServer()
  assert.equal(await add(world, 'ida'), true)
  const users = await world.admin.json<{ email: string }[]>(['users', 'list'])
  const names = users.map(({ email }) => email.split('@')[0])
  for (const name of [...acknowledged, 'ida']) assert.ok(names.includes(name), name)
  const events = await world.admin.json<Told[]>(['events'])
  assert.deepEqual(
    events.map(({ number }) => number),
    events.map((_, index) => index + 1),
    'event numbers have no gap',
  )
  assert.equal(events.filter(({ kind }) => kind === 'user.created').length, users.length)
})

test('a connector whose disk is full serves, says that its certificate is not kept, and keeps it once there is room', async (t) => {
  const world = await journey(t)
  const through = ['sh', '-c', `trap '' XFSZ; ulimit -f 0; exec "$@"`, 'sh']
  const prod = await world.destination('prod', { through })
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])
  await ana.ok(['list'])
  const get = ['--context', 'infra:prod', 'get', 'namespaces']
  await ana.kubectlOk(get)
  const kept = join(world.dir, 'connector-prod', 'serving.pem')
  const isSaid = () =>
    linesOf(prod.running).some(({ level, message }) => {
      return level === 'warn' && /certificate cannot be kept for the next start/.test(message)
    })
  assert.ok(isSaid())
  assert.ok(!existsSync(kept), 'half a certificate is none')

  // Started anew where there is room, it finds nothing, asks again, and keeps what it is given.
  through.splice(0)
  await prod.stop()
  await prod.start()
  await until('the certificate is kept', () => existsSync(kept))
  await ana.kubectlOk(get)
  assert.ok(!isSaid())
})

/** Whether a user was added, as far as the server says. */
async function add(world: World, name: string): Promise<boolean> {
  const request = new Request(`${world.url}/api/users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ email: `${name}@example.com` }),
    signal: AbortSignal.timeout(unansweredMs),
  })
  const send = fetchWith(readFileSync(world.caFile, 'utf8'))
  const response = await Promise.resolve(send(request)).catch(() => null)
  return response?.ok === true
}

function pidOf(running: Running | null): number | undefined {
  return running?.child.pid
}
