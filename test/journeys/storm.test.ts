/** Many connectors lose their server at once, and come back to it at once. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Client } from '../../src/wire/client.ts'
import { fetchWith } from '../../src/wire/dial.ts'
import { until } from '../processes.ts'
import { memoryOf } from './memory.ts'
import { freePort } from '../ports.ts'
import { Simulated, writeDestinations } from './storm.ts'
import { numberIn } from './told.ts'
import { serverAlone } from './world.ts'

const many = 1000
/** Before the storm they come in good order. */
const atOnce = 100
/** How long each wait may last: many times what others wait for. */
const storms = 200_000
/** More than the server took while the same came one after the other. */
const mostGrowth = 192 * 1024 * 1024

test('a thousand connectors back at once: all are linked again before a lease ends, and a revocation reaches each', async (t) => {
  const metricsAt = `127.0.0.1:${await freePort()}`
  const env = { INFRA_LEASE: '10m', INFRA_METRICS_LISTEN: metricsAt }
  const world = await serverAlone(t, { env })
  const client = new Client(
    world.url,
    world.adminKey,
    fetchWith(readFileSync(world.caFile, 'utf8')),
  )
  await world.server?.stop()
  const { user, made } = await writeDestinations(world, many)
  await world.startServer()

  const all: Simulated[] = []
  t.after(() => Promise.all(all.map((one) => one.close())))
  for (let n = 0; n < many; n += atOnce) {
    for (const { accessKey } of made.slice(n, n + atOnce)) all.push(new Simulated(world, accessKey))
    await until(
      'some more are linked',
      () => all.every((one) => one.isLinked && one.isAlive),
      storms,
    )
  }
  assert.ok(all.every((one) => one.open(user.id)))
  const before = memoryOf({ running: world.server }, 'VmHWM')

  const killedAt = performance.now()
  await world.server?.stop('SIGKILL')
  const starved = new Set<Simulated>()
  const look = (isDone: (one: Simulated) => boolean) => () => {
    for (const one of all) if (!one.isAlive) starved.add(one)
    return all.every(isDone)
  }
  await until(
    'all know that it is gone',
    look((one) => !one.isLinked),
    storms,
  )
  const lastBeats = new Map(all.map((one) => [one, one.access.leaseEndsAt]))
  const returning = until(
    'all are linked again',
    look((one) => one.isLinked),
    storms,
  )
  returning.catch(() => {})
  await world.startServer()
  await returning
  await until(
    'each has had a beat of the new server',
    look((one) => (one.access.leaseEndsAt ?? 0) > (lastBeats.get(one) ?? 0)),
    storms,
  )
  assert.equal(starved.size, 0, 'leases ended meanwhile')
  assert.equal(all.filter(({ severed }) => severed > 0).length, 0, 'streams were cut for nothing')
  // They do not knock as one: in how many tenths of a second somebody dialled.
  const slots = new Set(all.flatMap(({ dials }) => dials.filter((at) => at > killedAt)).map(slotOf))
  assert.ok(slots.size >= 10, `all dials fell into ${slots.size} tenths of a second`)
  const growth = memoryOf({ running: world.server }, 'VmHWM') - before
  assert.ok(growth < mostGrowth, `the server grew by ${growth} bytes more`)

  const { revision } = await client.users.update({ user: user.email, disabled: true })
  await until('each has cut what was open', () => all.every(({ severed }) => severed === 1), storms)
  const receipts = await inTens(many, async (n) => {
    const destination = made[n]?.id ?? ''
    return client.destinations.receipt({ destination, revision, waitSeconds: 30 })
  })
  assert.equal(receipts.filter(({ enforced }) => !enforced).length, 0)
  const metrics = await (await fetch(`http://${metricsAt}/metrics`)).text()
  assert.equal(numberIn(metrics, 'infra_links'), many)
  assert.equal(numberIn(metrics, 'infra_streams_severed_total'), many)
  assert.deepEqual(await silences(client), [], 'nobody was missed')
})

const slotOf = (at: number) => Math.floor(at / 100)

/** Does `work` for each number below `count`, ten at a time; gives what came of each, in order. */
async function inTens<T>(count: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const done: T[] = []
  let next = 0
  const lane = async () => {
    for (let n = next++; n < count; n = next++) done[n] = await work(n)
  }
  await Promise.all(Array.from({ length: 10 }, lane))
  return done
}

async function silences(client: Client): Promise<string[]> {
  const found: string[] = []
  for (let after = 0; ;) {
    const events = await client.events.list({ after, limit: 1000 })
    const last = events.at(-1)
    if (!last) return found
    after = last.number
    found.push(...events.map(({ kind }) => kind).filter((kind) => kind === 'connector.silent'))
  }
}
