/** Providers asked again while people have streams open: their word cuts, their troubles do not. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { startDex } from '../dex/dex.ts'
import { startFront } from '../front.ts'
import { until } from '../processes.ts'
import { clientFor, type ClientOfProvider, startProvider } from '../provider.ts'
import { areCut, goesOn, isRefused, openStreams } from './streams.ts'
import type { Person } from './person.ts'
import { journey, type World } from './world.ts'

const env = { INFRA_INSECURE_PROVIDERS: 'true', INFRA_REVALIDATE_INTERVAL: '5s' }

type Provider = {
  issuer: string
  client: ClientOfProvider
  login(url: string, person: string): Promise<string>
}

async function addProvider(world: World, name: string, provider: Provider): Promise<void> {
  const secretFile = join(world.dir, 'client-secret')
  writeFileSync(secretFile, provider.client.secret ?? '', { mode: 0o600 })
  await world.admin.ok([
    ...['providers', 'add', name, '--issuer', provider.issuer],
    ...['--client-id', provider.client.id, '--client-secret-file', secretFile],
  ])
}

async function logIn(
  world: World,
  { name, provider, person }: { name: string; provider: Provider; person: string },
): Promise<Person> {
  const who = world.stranger(`${person.toLowerCase()}@example.com`)
  const login = who.openInfra(['login', '--provider', name, '--no-browser'])
  const [url] = await login.says(/https?:\/\/\S+[?&]code_challenge=\S+/, 'stderr')
  await fetch(await provider.login(url, person))
  assert.equal((await login.ends()).code, 0, login.stderr)
  return who
}

async function reasons(world: World): Promise<string[]> {
  const { stdout } = await world.admin.ok(['events', '--format', 'json'])
  return [...stdout.matchAll(/"reason": ?"([^"]+)"/g)].map(([, reason = '']) => reason)
}

async function withOidcProvider(t: TestContext) {
  const world = await journey(t, { env })
  const front = await startFront(t)
  const provider = await startProvider({ publicUrl: front.url, clients: [clientFor('acme')] })
  t.after(provider.stop)
  front.behind = provider.address
  await world.destination('prod')
  await addProvider(world, 'acme', provider)
  await world.admin.ok(['grants', 'add', 'acme/dev', 'prod', '--role', 'edit', '--group'])
  const who = (person: string) => logIn(world, { name: 'acme', provider, person })
  return { world, front, provider, ana: await who('Ana'), ben: await who('Ben') }
}

test('troubles of the provider, and a server killed while it hears the answer, cost nobody anything; its word cuts at once', async (t) => {
  const { world, front, provider, ana, ben } = await withOidcProvider(t)
  const open = (person: Person, at: string) =>
    openStreams(world, person, { destination: 'prod', namespace: `again-${at}` })
  const anas = await open(ana, 'ana')
  const bens = await open(ben, 'ben')
  const bothGoOn = () => Promise.all([goesOn(world, anas), goesOn(world, bens)])
  const askedAgain = (path: string) => {
    const before = front.count(path)
    return until(`${path} is asked again`, () => front.count(path) > before)
  }

  await t.test('500 for a while', async () => {
    front.fate = (path) => (path === '/token' ? { status: 500 } : 'pass')
    await askedAgain('/token')
    await askedAgain('/token')
    await bothGoOn()
  })

  await t.test('429 with Retry-After: nothing is asked before, and then it goes on', async () => {
    front.fate = () => ({ status: 429, headers: { 'retry-after': '12' } })
    await askedAgain('/token')
    const heard = Date.now()
    front.fate = () => 'pass'
    await askedAgain('/token')
    // What was on its way when the first 429 came may have been asked in the same second.
    const early = front.asked.filter(({ at }) => at > heard + 1000 && at < heard + 10_500)
    assert.deepEqual(early, [])
    await bothGoOn()
  })

  await t.test('kill -9 between the answer and the commit', async () => {
    let isKilled = false
    front.lost = () => {
      isKilled = world.server?.child.kill('SIGKILL') ?? false
    }
    front.fate = (path) => (path === '/token' ? 'lose' : 'pass')
    await until('a question is answered', () => isKilled)
    await world.server?.ends()
    front.fate = () => 'pass'
    await world.startServer()
    await bothGoOn()
    await askedAgain('/me')
    await ana.kubectlOk(['--context', 'infra:prod', 'get', 'configmaps', '-n', 'again-ana'])
    await ben.kubectlOk(['--context', 'infra:prod', 'get', 'configmaps', '-n', 'again-ben'])
    await bothGoOn()
  })

  await t.test('a provider that hangs', async () => {
    // Of whom an answer was lost is asked about by userinfo, so that everything hangs here.
    front.fate = () => 'hang'
    await until('a question is given up', () => front.givenUp > 0)
    front.fate = () => 'pass'
    const before = front.asked.length
    await until('somebody is asked about', () => front.asked.length > before)
    await bothGoOn()
  })

  await t.test('a person disabled there is cut, and the neighbour is not', async () => {
    provider.person('Ana').disabled = true
    await areCut(world, anas)
    await isRefused(ana, 'prod')
    await goesOn(world, bens)
  })

  await t.test('a group left there is access lost here', async () => {
    provider.person('Ben').groups = []
    await areCut(world, bens)
    await isRefused(ben, 'prod')
    provider.person('Ben').groups = ['dev']
    await until('access is back', async () => {
      const said = ['--context', 'infra:prod', 'get', 'configmaps', '-n', 'again-ben']
      return (await ben.kubectl(said)).code === 0
    })
  })
})

test('a person deleted in Dex is cut within the interval, and the neighbour is not', async (t) => {
  const world = await journey(t, { env })
  const dex = await startDex(t)
  for (const name of ['Ana', 'Ben']) await dex.put(name, ['dev'])
  await world.destination('prod')
  await addProvider(world, 'dex', dex)
  await world.admin.ok(['grants', 'add', 'dex/dev', 'prod', '--role', 'edit', '--group'])
  const who = (person: string) => logIn(world, { name: 'dex', provider: dex, person })
  const [ana, ben] = [await who('Ana'), await who('Ben')]
  const anas = await openStreams(world, ana, { destination: 'prod', namespace: 'dex-ana' })
  const bens = await openStreams(world, ben, { destination: 'prod', namespace: 'dex-ben' })
  await dex.remove('Ana')
  await areCut(world, anas)
  await isRefused(ana, 'prod')
  await goesOn(world, bens)
  assert.ok((await reasons(world)).includes('the provider says invalid_request'))
})
