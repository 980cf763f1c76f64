/** Processes that stand still for longer than a lease (SIGSTOP), and go on as if nothing had been. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Receipt } from '../../src/wire/destinations.ts'
import { type Running, until } from '../processes.ts'
import { startProxy } from '../proxy.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import { hasEvent, linesOf, metric } from './told.ts'
import { journey } from './world.ts'

const nowhere = /no word from its server for longer than its lease/

test('a connector that was stopped for longer than its lease passes not one byte more, and lets nobody in before it has asked anew', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin, cluster } = world
  const proxy = await startProxy(world.port)
  t.after(() => proxy.close())
  const prod = await world.destination('prod', { server: `https://127.0.0.1:${proxy.port}` })
  const ana = await world.loggedIn('ana@example.com')
  const ben = await world.loggedIn('ben@example.com')
  for (const { email } of [ana, ben]) {
    await admin.ok(['grants', 'add', email, 'prod', '--role', 'edit', '--wait'])
  }
  const lost = await openStreams(world, ana, { destination: 'prod', namespace: 'stopped' })
  const also = await openStreams(world, ben, { destination: 'prod', namespace: 'stopped' })

  // No word of the server's is to wait beside the bytes: the clock alone must tell.
  proxy.swallow('near')
  const goOn = standStill(prod.running)
  const removed = await admin.infra([
    ...['grants', 'remove', ana.email, 'prod', '--role', 'edit'],
    ...['--wait=1s', '--format', 'json'],
  ])
  const { receipt } = JSON.parse(removed.stdout) as { receipt: Receipt }
  assert.deepEqual([removed.code, receipt.enforced], [1, false])
  await hasEvent(world, 'prod', 'connector.silent')
  const endsAt = Date.parse(receipt.connectors[0]?.leaseEndsAt ?? '')
  await until('its lease is over', () => Date.now() > endsAt)
  // It waits in the connector's sockets, before any timer of its own is looked at.
  const secret = `w-${randomBytes(6).toString('hex')}`
  await cluster.api('POST', '/api/v1/namespaces/stopped/configmaps', { metadata: { name: secret } })
  await until('the API server has sent it', async () => {
    return (
      (await cluster.api('GET', `/api/v1/namespaces/stopped/configmaps/${secret}`)).status === 200
    )
  })
  const early = ben.open(['--context', 'infra:prod', 'get', 'configmaps'])
  goOn()

  await areCut(world, lost)
  await areCut(world, also)
  for (const open of [lost, also]) {
    assert.ok(!open.watch.stdout.includes(secret), 'what came after the lease was passed on')
  }
  proxy.pass()
  // Asked while it stood still, it is let in after the server was heard again, or refused.
  const { code, stderr } = await early.ends()
  if (code !== 0) assert.match(stderr, nowhere)
  await prod.ready()
  await isRefused(ana, 'prod')
  await hasEvent(world, 'prod', 'connector.returned')
  assert.equal(await metric(prod, 'infra_streams_severed_total'), 6)
  const cut = linesOf(prod.running).filter(({ message }) => message === 'stream closed')
  assert.deepEqual(
    [...new Set(cut.map(({ ending, why }) => `${String(ending)}: ${String(why)}`))],
    ['severed: the connector has had no word from its server for longer than its lease'],
  )
  const again = await openStreams(world, ben, { destination: 'prod', namespace: 'stopped' })
  await goesOn(world, again)
})

test('a server that was stopped for longer than the leases lets nobody in anywhere, and all is back when it goes on', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const { admin } = world
  const all = [await world.destination('prod'), await world.destination('staging')]
  const ana = await world.loggedIn('ana@example.com')
  const opened = []
  for (const { name } of all) {
    await admin.ok(['grants', 'add', ana.email, name, '--role', 'edit', '--wait'])
    const namespace = `still-${name}`
    opened.push(await openStreams(world, ana, { destination: name, namespace }))
  }

  const goOn = standStill(world.server)
  for (const [at, connector] of all.entries()) {
    const open = opened[at]
    if (open) await areCut(world, open)
    await until('it is not ready', async () => (await connector.readiness()) === 503)
    const refused = await ana.kubectl(['--context', `infra:${connector.name}`, 'get', 'pods'])
    assert.equal(refused.code, 1)
    // Or the credential plugin says it, where the last token is over: it lives for the lease.
    assert.match(refused.stderr, new RegExp(`${nowhere.source}|cannot reach the server at https`))
    assert.deepEqual(
      [
        await metric(connector, 'infra_link_up'),
        await metric(connector, 'infra_lease_seconds_left'),
      ],
      [0, 0],
    )
    const said = linesOf(connector.running).map(({ message }) => message)
    assert.ok(said.includes('link down') && said.includes('poll failed'))
  }
  goOn()

  for (const connector of all) {
    await connector.ready()
    const where = { destination: connector.name, namespace: `still-${connector.name}` }
    await goesOn(world, await openStreams(world, ana, where))
  }
  const { receipts } = await admin.json<{ receipts: Receipt[] }>([
    ...['users', 'disable', ana.email, '--wait'],
  ])
  assert.deepEqual(
    receipts.map(({ enforced }) => enforced),
    [true, true],
  )
})

/** Stops a process until the returned function is called, or its world ends. */
function standStill(running: Running | null): () => void {
  running?.child.kill('SIGSTOP')
  return () => void running?.child.kill('SIGCONT')
}
