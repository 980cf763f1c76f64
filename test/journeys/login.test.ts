/** Logging in, from a blank machine to the first kubectl. */
import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { clientFor, startProvider } from '../provider.ts'
import { journey } from './world.ts'

test('a person with a password logs in, finds the cluster in a kubeconfig that was absent, and uses it', async (t) => {
  const world = await journey(t)
  await world.destination('prod')
  const ana = await world.person('ana@example.com')
  await world.admin.ok(['grants', 'add', ana.email, 'prod', '--role', 'view', '--wait'])

  await ana.ok(['login'])
  assert.equal(statSync(ana.kubeconfig).mode & 0o777, 0o600)
  const got = await ana.kubectlOk(['--context', 'infra:prod', 'get', 'namespaces', '-o', 'name'])
  assert.match(got.stdout, /namespace\/default/)

  const info = await ana.json<{ user: { email: string } | string }>(['info'])
  assert.match(JSON.stringify(info), /ana@example\.com/)
})

test('a wrong password and an unknown user are refused with one and the same sentence', async (t) => {
  const world = await journey(t)
  const ana = await world.person('ana@example.com')
  const wrong = await ana.openInfra(['login'], { INFRA_PASSWORD: 'not this one' }).ends()
  const unknown = await ana.openInfra(['login'], { INFRA_USER: 'nobody@example.com' }).ends()
  assert.equal(wrong.code, 1)
  assert.equal(unknown.code, 1)
  assert.match(wrong.stderr, /^error: /m)
  assert.equal(wrong.stderr, unknown.stderr)
})

test('a person of an OIDC provider logs in by the browser; the groups of the provider are followed', async (t) => {
  const world = await journey(t, { env: { INFRA_INSECURE_PROVIDERS: 'true' } })
  const provider = await startProvider({ clients: [clientFor('acme')] })
  t.after(() => provider.stop())
  await world.destination('prod')
  const secretFile = join(world.dir, 'client-secret')
  writeFileSync(secretFile, provider.client.secret ?? '', { mode: 0o600 })
  await world.admin.ok([
    ...['providers', 'add', 'acme', '--issuer', provider.issuer],
    ...['--client-id', provider.client.id, '--client-secret-file', secretFile],
  ])
  await world.admin.ok(['grants', 'add', 'acme/dev', 'prod', '--role', 'edit', '--group', '--wait'])

  const ana = world.stranger('ana')
  const login = ana.openInfra(['login', '--provider', 'acme', '--no-browser'])
  const [authorizationUrl] = await login.says(/https?:\/\/\S+[?&]code_challenge=\S+/, 'stderr')
  const callback = await provider.login(authorizationUrl, 'Ana')
  const page = await fetch(callback)
  assert.equal(page.status, 200)
  assert.match(await page.text(), /logged in/i)
  assert.equal((await login.ends()).code, 0, login.stderr)

  const who = await ana.kubectlOk(['--context', 'infra:prod', 'auth', 'whoami', '-o', 'json'])
  const { userInfo } = JSON.parse(who.stdout).status
  assert.equal(userInfo.username, 'ana@example.com')
  assert.ok(userInfo.groups.includes('infra:role:edit'))
  assert.ok(userInfo.groups.includes('infra:group:acme/dev'))

  // What the provider told the server stays with the server.
  const secrets = provider.secrets()
  assert.ok(secrets.length >= 2, 'the provider issued tokens')
  const said = ana.readKubeconfig() + login.stdout + login.stderr + (world.server?.stderr ?? '')
  for (const secret of secrets) assert.ok(!said.includes(secret), 'a secret of the provider leaked')
})

test('a login refused at the provider is a sentence at the terminal, and nobody is logged in', async (t) => {
  const world = await journey(t, { env: { INFRA_INSECURE_PROVIDERS: 'true' } })
  const provider = await startProvider({ clients: [clientFor('acme')] })
  t.after(() => provider.stop())
  const secretFile = join(world.dir, 'client-secret')
  writeFileSync(secretFile, provider.client.secret ?? '', { mode: 0o600 })
  await world.admin.ok([
    ...['providers', 'add', 'acme', '--issuer', provider.issuer],
    ...['--client-id', provider.client.id, '--client-secret-file', secretFile],
  ])
  const ana = world.stranger('ana')
  const login = ana.openInfra(['login', '--provider', 'acme', '--no-browser'])
  const [authorizationUrl] = await login.says(/https?:\/\/\S+[?&]code_challenge=\S+/, 'stderr')
  await fetch(await provider.login(authorizationUrl, null))
  const exit = await login.ends()
  assert.equal(exit.code, 1)
  assert.match(exit.stderr, /^error: .*(refused|denied)/m)
  assert.equal((await ana.infra(['info'])).code, 1)
})
