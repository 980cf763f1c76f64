/** An API server that is slow, silent or gone: people are told, and what is revoked is cut meanwhile. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Receipt } from '../../src/wire/destinations.ts'
import { startProxy } from '../proxy.ts'
import { until } from '../processes.ts'
import { areCut, goesOn, isRefused, type Open, openStreams } from './streams.ts'
import { kindsAbout, linesOf, metric, shown } from './told.ts'
import { type Connector, journey, type World } from './world.ts'

const gone = /the API server of this cluster can not be reached/
const silent = /the API server of this cluster has taken the request and does not answer/

test('an API server that is slow, silent or gone: revocations cut and are receipted, and the next request gets a sentence', async (t) => {
  const world = await journey(t)
  const { admin } = world
  const proxy = await startProxy(Number(new URL(world.cluster.url).port))
  t.after(() => proxy.close())
  const env = {
    KUBECONFIG: await kubeconfigBy(world, proxy.port),
    INFRA_DIAL_TIMEOUT: '3s',
    INFRA_ANSWER_TIMEOUT: '5s',
  }
  const prod = await world.destination('prod', { env })
  const people = []
  for (const name of ['ana', 'ben', 'eva', 'gus']) {
    const person = await world.loggedIn(`${name}@example.com`)
    await admin.ok(['grants', 'add', person.email, 'prod', '--role', 'edit', '--wait'])
    people.push(person)
  }
  const [ana, ben, eva, gus] = people
  assert.ok(ana && ben && eva && gus)
  const open = (person: typeof ana) =>
    openStreams(world, person, { destination: 'prod', namespace: 'gone' })
  const get = ['--context', 'infra:prod', '--namespace', 'gone', 'get', 'configmaps']
  const revoked = async ({ email }: typeof ana): Promise<void> => {
    const { receipt } = await admin.json<{ receipt: Receipt }>([
      ...['grants', 'remove', email, 'prod', '--role', 'edit', '--wait'],
    ])
    assert.deepEqual([receipt.enforced, receipt.connectors[0]?.severed], [true, 3])
  }

  await t.test('slow: it is waited for, and nobody is cut but who lost access', async () => {
    const [lost, kept] = [await open(ana), await open(ben)]
    proxy.slow(700)
    await ben.kubectlOk(get)
    await revoked(ana)
    await areCut(world, lost)
    await isRefused(ana, 'prod')
    await goesOn(world, kept)
    proxy.pass()
  })

  await t.test(
    'silent: a request that it has taken ends with a sentence, and so does one that cannot get there',
    async () => {
      const lost = await open(eva)
      // Its connection is kept, and the next request goes by it.
      await ben.kubectlOk(get)
      proxy.swallow()
      const kept = await ben.kubectl(get)
      assert.equal(kept.code, 1)
      assert.match(kept.stderr, new RegExp(`${gone.source}|${silent.source}`))
      const dialled = await ben.kubectl(get)
      assert.equal(dialled.code, 1)
      assert.match(dialled.stderr, gone)
      await revoked(eva)
      await haveEnded(lost)
      await isRefused(eva, 'prod')
      await isTold(world, prod)
      proxy.pass()
      await areCut(world, lost)
      await isWellAgain(world, prod)
      await ben.kubectlOk(get)
    },
  )

  await t.test('gone: the same at once', async () => {
    await gus.ok(['list'])
    const watch = gus.open([...get, '--watch', '-o', 'name'])
    await until('the watch is there', async () => (await metric(prod, 'infra_streams_open')) > 0)
    proxy.cut()
    const refused = await ben.kubectl(get)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, gone)
    const { receipt } = await admin.json<{ receipt: Receipt }>([
      ...['grants', 'remove', gus.email, 'prod', '--role', 'edit', '--wait'],
    ])
    assert.equal(receipt.enforced, true)
    await watch.ends()
    await isRefused(gus, 'prod')
    await isTold(world, prod)
    // The connector itself is as it should be, and waits.
    assert.equal(await prod.readiness(), 200)
    proxy.pass()
    await isWellAgain(world, prod)
    await ben.kubectlOk(get)
    await isRefused(gus, 'prod')
  })
})

/** A kubeconfig of the connector that leads by way of this port. */
async function kubeconfigBy(world: World, port: number): Promise<string> {
  const text = readFileSync(await world.cluster.connectorKubeconfig(), 'utf8')
  const path = join(world.dir, 'by-proxy.kubeconfig')
  const led = text.replace(world.cluster.url, `https://127.0.0.1:${port}`)
  assert.notEqual(led, text)
  writeFileSync(path, led, { mode: 0o600 })
  return path
}

/** The caller's ends: what is behind the connector cannot be heard of. */
async function haveEnded({ watch, logs, exec }: Open): Promise<void> {
  for (const stream of [watch, logs, exec]) await stream.ends()
}

/** A line of the log, a number, an event, and what `destinations show` says. */
async function isTold(world: World, prod: Connector): Promise<void> {
  await until('the trouble is a number', async () => {
    return (await metric(prod, 'infra_cluster_problems')) > 0
  })
  const complaints = linesOf(prod.running).filter(({ complaint }) => complaint !== undefined)
  assert.match(JSON.stringify(complaints.at(-1)), /cannot reach the API server at 127\.0\.0\.1/)
  assert.ok((await metric(prod, 'infra_requests_refused_total{status="502"}')) > 0)
  await until('the server knows of it', async () => {
    return /cannot reach the API server/.test((await shown(world, 'prod')).problems.join('\n'))
  })
  await isLastEvent(world, 'destination.troubled')
}

async function isWellAgain(world: World, prod: Connector): Promise<void> {
  await until('nothing is wrong any more', async () => {
    return (await metric(prod, 'infra_cluster_problems')) === 0
  })
  await until(
    'the server knows of it',
    async () => (await shown(world, 'prod')).problems.length === 0,
  )
  await isLastEvent(world, 'destination.recovered')
}

/** It is the last of its kind, and no two of a kind follow each other. */
async function isLastEvent(world: World, kind: string): Promise<void> {
  const about = async () => {
    const kinds = await kindsAbout(world, 'prod')
    return kinds.filter((each) => /\.(troubled|recovered)$/.test(each))
  }
  await until(`${kind} is an event`, async () => (await about()).at(-1) === kind)
  const kinds = await about()
  assert.ok(
    kinds.every((each, at) => each !== kinds[at + 1]),
    kinds.join(' '),
  )
}
