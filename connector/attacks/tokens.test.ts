import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldAccess } from '../access.ts'
import { Door } from '../door/door.ts'
import { readRequest } from '../door/http1.ts'
import { accessTo, HandClock, renew, requestOf, Signer, user, grantOf, world } from '../fixtures.ts'
import { badTokens, mirrored, statusOf } from './tokens.fixtures.ts'

test('D7: over the wire, no token but ours for this destination lets anybody in', async (t) => {
  const { refused, recorder, signer } = await world(t)
  const wrong: unknown[] = []
  const messages = new Set<string>()
  for (const [name, token] of Object.entries(badTokens(signer))) {
    const text = await refused(requestOf(token, 'GET /', 'Connection: close'))
    messages.add(/"message":"([^"]*)"/.exec(text)?.[1] ?? '')
    if (!text.startsWith(`HTTP/1.1 ${statusOf(name)} `))
      wrong.push({ name, text: text.slice(0, 99) })
  }
  assert.deepEqual(wrong, [])
  assert.equal(recorder.connections.length, 0)
  assert.deepEqual([...messages].toSorted(), [
    'a header has no proper name',
    'one Authorization header with a Bearer token is needed',
    'the token is not valid here',
  ])
  assert.match(
    await refused(requestOf(signer.token('u-ana'), 'GET /', 'Connection: close')),
    /^HTTP\/1\.1 200 /,
  )
})

function doorway(most?: number) {
  const clock = new HandClock()
  const access = new HeldAccess(clock)
  const signer = new Signer('k1')
  const given = (more: Parameters<typeof accessTo>[0] = {}) =>
    renew(access, accessTo({ signingKeys: [signer.publicKey], ...more }), clock)
  given()
  const door = new Door({ access, ...(most === undefined ? {} : { most }) })
  const iat = clock.wall() / 1000
  const token = (claims: Record<string, unknown> = {}) =>
    signer.token('u-ana', { iat, exp: iat + 300, ...claims })
  const knock = async (text: string): Promise<number> => {
    const head = readRequest(requestOf(text, 'GET /'))
    return door.admit(head).then(
      () => 200,
      (error: unknown) => (error as { status?: number }).status ?? 500,
    )
  }
  return { clock, door, signer, given, token, knock }
}

test('D7: tokens are remembered by their exact bytes, and no more than so many', async () => {
  const { door, token, knock } = doorway(3)
  for (const sid of ['a', 'b', 'c', 'd', 'a', 'e']) assert.equal(await knock(token({ sid })), 200)
  assert.equal(door.remembered, 3)
  const one = token()
  assert.equal(await knock(one), 200)
  const [header, payload, signature = ''] = one.split('.')
  const other = Buffer.from(signature, 'base64url').map((byte, at) => (at === 40 ? byte ^ 1 : byte))
  const forged = `${header}.${payload}.${Buffer.from(other).toString('base64url')}`
  assert.equal(await knock(forged), 401, 'a token that differs in a bit is another')
  assert.equal(await knock(one), 200)
})

test('D7: what is refused is not remembered, and an unknown kid costs nothing', async () => {
  const { door, signer, token, knock } = doorway()
  for (let number = 0; number < 50; number += 1) {
    assert.equal(await knock(signer.token('u-ana', {}, { kid: `k-${number}` })), 401)
    assert.equal(await knock(token({ aud: `d-${number}` })), 401)
    assert.equal(await knock(`${token()}${number}`), 401)
  }
  assert.equal(door.remembered, 0)
})

test('D7: the mirrored signature of a token is the same token to Access, at every request', async () => {
  const { signer, given, token, knock } = doorway()
  const one = token()
  const both = [one, mirrored(one)]
  assert.notEqual(both[0], both[1])
  assert.deepEqual(await Promise.all(both.map(knock)), [200, 200])
  given({ endedSessions: ['s-u-ana'] })
  assert.deepEqual(await Promise.all(both.map(knock)), [401, 401])
  given({ grants: [grantOf(user('u-bo'), 'edit')] })
  assert.deepEqual(await Promise.all(both.map(knock)), [403, 403])
  given({ signingKeys: [new Signer('k1').publicKey] })
  assert.deepEqual(await Promise.all(both.map(knock)), [401, 401])
  given({ signingKeys: [signer.publicKey], issuer: 'https://moved.test' })
  assert.deepEqual(await Promise.all(both.map(knock)), [401, 401])
  given({ destination: { id: 'd-other', name: 'prod' } })
  assert.deepEqual(await Promise.all(both.map(knock)), [401, 401])
  given()
  assert.deepEqual(await Promise.all(both.map(knock)), [200, 200])
})

test('D7: when the new keys are no keys, nobody is let in by the old ones', async () => {
  const { signer, given, token, knock } = doorway()
  const old = token()
  assert.equal(await knock(old), 200)
  const broken = { ...signer.publicKey, kid: 'k2', x: 'AA', y: 'AA' }
  given({ signingKeys: [broken] })
  for (const _ of [1, 2, 3]) assert.equal(await knock(old), 500)
  given({ signingKeys: [new Signer('k2').publicKey] })
  assert.equal(await knock(old), 401)
  given()
  assert.equal(await knock(old), 200)
})
