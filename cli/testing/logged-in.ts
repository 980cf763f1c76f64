/** Somebody who has logged in to a fake server, with access to one destination. */
import assert from 'node:assert/strict'
import type { MyDestination } from '../../src/wire/destinations.ts'
import { testCa } from './certificates.ts'
import { fakeServer, type Test, type World } from './fake-server.ts'
import { person, type Person } from './transcript.ts'

export const prod: MyDestination = {
  id: 'd-prod',
  name: 'prod',
  endpoint: 'prod.example.com:6443',
  tlsServerName: 'd-prod.destination.infra',
  ca: testCa,
  roles: [
    { role: 'view', namespace: null, expiresAt: null },
    { role: 'edit', namespace: 'web', expiresAt: '2030-01-01T00:00:00.000Z' },
  ],
}

export async function loggedIn(
  t: Test,
  destinations: MyDestination[] = [prod],
): Promise<{ world: World; ana: Person }> {
  const world = await fakeServer(t)
  world.destinations = destinations
  const ana = person(t, { INFRA_PASSWORD: 'correct horse' })
  const { code, err } = await ana.types(`login ${world.url} --user ana@example.com`)
  assert.equal(code, 0, err)
  return { world, ana }
}

/** Types a line that must succeed, and gives what it printed. */
export async function done(ana: Person, line: string): Promise<{ out: string; err: string }> {
  const { code, out, err } = await ana.types(line)
  assert.equal(code, 0, `${line}: ${err}`)
  return { out, err }
}
