/**
 * Every kind of removal, by the streams that it must cut: a watch, a shell and a forwarded port. One
 * world with many people in it: what is taken from one is felt by nobody else.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Running } from '../processes.ts'
import {
  ask,
  everyKind,
  type Event,
  grant,
  type Kind,
  receiptsOf,
  type Removed,
  robot,
  somebody,
} from './kinds.ts'
import {
  openPlace,
  openShell,
  openThree,
  type Place,
  shellGoesOn,
  type Three,
  threeAreCut,
  threeGoOn,
} from './three.ts'
import { journey, type World } from './world.ts'

type Held = Kind & { three: Three; shell: Running }

async function hold(world: World, kind: Kind, place: Place): Promise<Held> {
  const three = await openThree(world, kind.person, kind.destination, place)
  const shell = openShell(kind.person, 'stage', place)
  await shellGoesOn(shell)
  return { ...kind, three, shell }
}

/** Cut at the caller, said by an event, counted in the receipt, and felt nowhere else. */
async function check(world: World, held: Held, removed: Removed | null): Promise<void> {
  const closed = await threeAreCut(held.three)
  if (held.elsewhere === 'falls') await held.shell.ends()
  else await shellGoesOn(held.shell)
  const events = await ask<Event[]>(world, 'GET', '/api/events?limit=1000')
  assert.ok(events.some(({ kind }) => kind === held.event))
  if (removed === null) return
  const counts = removed.receipts.map(({ destination, connectors }): [string, number] => {
    return [destination.name, connectors.reduce((sum, { severed }) => sum + severed, 0)]
  })
  const seen = new Map(counts)
  if (held.destination === 'locked') {
    // Whoever is admitted no longer cannot say so any more: until when it might serve is said.
    assert.equal(removed.code, 1)
    const [connector] = removed.receipts[0]?.connectors ?? []
    assert.equal(connector?.link, 'silent')
    assert.ok(Date.parse(connector?.leaseEndsAt ?? '') > 0)
    return
  }
  assert.equal(removed.code, 0)
  assert.equal(seen.get(held.destination), closed, JSON.stringify(removed.receipts))
  assert.equal(seen.get('stage') ?? 0, held.elsewhere === 'falls' ? 1 : 0)
}

test('every kind of removal cuts watch, shell and forwarded port at once, and nothing else', async (t) => {
  const world = await journey(t, { env: { INFRA_INSECURE_PROVIDERS: 'true' } })
  const place = await openPlace(t, world, 'removal')
  await Promise.all(['prod', 'stage', 'doomed', 'locked'].map((name) => world.destination(name)))
  const neighbour = await somebody(world, 'neighbour', 'prod')
  const kinds = await everyKind(t, world)
  const { revision } = await grant(world, neighbour.email, 'prod')
  for (const name of ['prod', 'stage']) {
    const query = `revision=${revision}&waitSeconds=30`
    await ask(world, 'GET', `/api/destinations/${name}/receipt?${query}`)
  }
  const unconcerned = await openThree(world, neighbour, 'prod', place)
  const all: Held[] = []
  while (all.length < kinds.length) {
    const next = kinds.slice(all.length, all.length + 3)
    all.push(...(await Promise.all(next.map((kind) => hold(world, kind, place)))))
  }

  // Ends while the others are seen to: long enough for what it opens to be open.
  const expiresAt = new Date(Date.now() + 30_000).toISOString()
  const expiring = await hold(
    world,
    {
      ...{ what: 'an access key expired', event: 'key.expired', elsewhere: 'falls' },
      ...{ destination: 'prod', person: await robot(world, 'brief', expiresAt) },
      remove: () => receiptsOf(world, 'key.expired'),
    },
    place,
  )
  for (const held of [...all, expiring]) {
    await t.test(held.what, async () => {
      await check(world, held, await held.remove())
      await threeGoOn(world, place.namespace, [unconcerned])
    })
  }
})
