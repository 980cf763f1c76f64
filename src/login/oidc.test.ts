import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { clientFor, startProvider } from '../../test/provider.ts'
import { world } from '../../test/world.ts'
import { providerFetch } from './network.ts'

test('probe', async (t) => {
  const provider = await startProvider()
  t.after(provider.stop)
  const w = await world(t, { settings: { insecureProviders: true }, providerFetch: providerFetch({ insecureProviders: true }) })
  await w.client.providers.create({ name: 'local', issuer: provider.issuer, clientId: provider.client.id, clientSecret: provider.client.secret! })
  const verifier = randomBytes(32).toString('base64url')
  const begun = await w.stranger.login.beginOidc({ provider: 'local', redirectUri: 'http://127.0.0.1:8000/callback/local', challenge: createHash('sha256').update(verifier).digest('base64url') })
  console.log(begun.authorizationUrl)
  const back = await provider.login(begun.authorizationUrl, 'Ana')
  console.log(back)
  const s = await w.stranger.login.finishOidc({ login: begun.login, verifier, callback: new URL(back).search.slice(1) })
  console.log(s, await w.client.events.list())
})
