/** The loop against Dex, which differs from the textbook where it matters. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { and, isNotNull, isNull } from 'drizzle-orm'
import { startDex } from '../../test/dex/dex.ts'
import { sessions } from '../db/schema.ts'
import { addProvider, begin, finish, loginWorld } from '../login/login.fixtures.ts'
import { Revalidate } from './revalidate.ts'

const intervalSeconds = 10

test('a person deleted in Dex is out within the interval; one whose groups changed has the new ones', async (t) => {
  const dex = await startDex(t, 'local')
  await dex.put('Ana', ['dev', 'ops'])
  await dex.put('Ben', ['dev'])
  const infra = await loginWorld(t, { revalidateSeconds: intervalSeconds })
  await addProvider(infra, dex)
  const logIn = async (name: string) => {
    const begun = await begin(infra)
    return finish(infra, begun, await dex.login(begun.authorizationUrl, name))
  }
  const clock = (): Date => infra.clock.now
  const wait = async () => {}
  const loop = new Revalidate({ ...infra, clock, wait })
  const interval = async () => {
    infra.clock.now = new Date(clock().getTime() + intervalSeconds * 1000)
    await loop.look()
    await loop.settled()
  }
  const live = async () => {
    const isLive = and(isNull(sessions.endedAt), isNotNull(sessions.providerId))
    return (await infra.db.select().from(sessions).where(isLive)).map(({ id }) => id)
  }
  const ana = await logIn('Ana')
  const ben = await logIn('Ben')
  const groupsOfBen = async () => (await infra.clientOf(ben.credential).me.get()).user.groups
  assert.deepEqual(await groupsOfBen(), ['local/dev'])

  await interval()
  assert.deepEqual((await live()).toSorted(), [ana.session, ben.session].toSorted())

  await dex.remove('Ana')
  await dex.put('Ben', ['night'])
  await interval()
  assert.deepEqual(await live(), [ben.session])
  assert.deepEqual(await groupsOfBen(), ['local/night'])
  const ended = (await infra.client.events.list()).filter(({ kind }) => kind === 'session.ended')
  assert.deepEqual(
    ended.map(({ detail }) => [detail['session'], detail['reason']]),
    [[ana.session, 'the provider says invalid_request']],
  )
})
