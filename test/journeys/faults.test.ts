/** Killed processes and swallowed packets: nothing acknowledged is lost, silence fails closed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startProxy } from '../proxy.ts'
import { until } from '../processes.ts'
import { areCut, goesOn, openStreams } from './streams.ts'
import { journey } from './world.ts'

type Event = { number: number; kind: string; detail: { user?: { email?: string } } }

test('kill -9 of the server: what it acknowledged is there, links return, no stream is cut', async (t) => {
  const world = await journey(t)
  await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const open = await openStreams(world, ana, { destination: 'prod', namespace: 'killed-server' })

  const acknowledged: string[] = []
  const adding = (async () => {
    for (let n = 1; ; n += 1) {
      const email = `user${n}@example.com`
      const response = await world.api('POST', '/api/users', { email }).catch(() => null)
      if (!response?.ok) return
      acknowledged.push(email)
    }
  })()
  await until('the server is in the middle of work', () => acknowledged.length >= 5)
  await world.server?.stop('SIGKILL')
  await adding
  await goesOn(world, open)

  await world.startServer()
  const users = await world.admin.json<{ email: string }[]>(['users', 'list'])
  const there = new Set(users.map(({ email }) => email))
  assert.deepEqual(
    acknowledged.filter((email) => !there.has(email)),
    [],
  )
  const events = await world.admin.json<Event[]>(['events'])
  assert.deepEqual(
    events.map(({ number }) => number),
    events.map((_, index) => index + 1),
    'event numbers have no gap',
  )
  for (const email of there) {
    if (!email.startsWith('user')) continue
    assert.ok(
      events.some(({ kind, detail }) => kind === 'user.created' && detail.user?.email === email),
    )
  }

  // The link returns by itself, and carries a revocation again.
  await goesOn(world, open)
  await until('the connector is linked again', async () => {
    const [prod] = await world.admin.json<{ linked: number }[]>(['destinations', 'list'])
    return prod?.linked === 1
  })
  await goesOn(world, open)
  await world.admin.ok(['grants', 'remove', ana.email, 'prod', '--role', 'edit', '--wait'])
  await areCut(world, open)
})

test('kill -9 of the connector: started again it admits nobody before it has Access', async (t) => {
  const world = await journey(t)
  const prod = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])
  await ana.ok(['list'])
  const get = ['--context', 'infra:prod', 'get', 'namespaces']
  await ana.kubectlOk(get)

  await prod.stop('SIGKILL')
  await world.server?.stop('SIGKILL')
  const restarted = await prod.start({ untilReady: false })
  await restarted.says(/"message":"listening"/, 'stderr')
  assert.equal(await prod.readiness(), 503)
  const refused = await ana.kubectl(get)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /no access has arrived|ServiceUnavailable|lease/i)

  await world.startServer()
  await prod.ready()
  await ana.kubectlOk(get)
})

test('a link that is silent ends in the lease: refused with a sentence, cut, and all back when the network is', async (t) => {
  const world = await journey(t, { env: { INFRA_LEASE: '15s' } })
  const proxy = await startProxy(Number(new URL(world.url).port))
  t.after(() => proxy.close())
  const prod = await world.destination('prod', { server: `https://127.0.0.1:${proxy.port}` })
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'edit', '--wait'])
  const open = await openStreams(world, ana, { destination: 'prod', namespace: 'silent' })

  proxy.swallow()
  await areCut(world, open)
  await until(
    'the connector says that it is not ready',
    async () => (await prod.readiness()) === 503,
  )
  const refused = await ana.kubectl(['--context', 'infra:prod', 'get', 'configmaps'])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /lease/i)

  proxy.pass()
  await prod.ready()
  const again = await openStreams(world, ana, { destination: 'prod', namespace: 'silent' })
  await goesOn(world, again)
})
