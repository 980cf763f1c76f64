/**
 * security.md L7: what a wrong password takes, tells and looks like says nothing about the account.
 * The one test that looks at a clock: tries of all kinds are interleaved, so that whatever slows the
 * machine down slows all of them, and only their lower quartiles are compared, within a generous
 * bound: what a try takes when little else goes on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eq } from 'drizzle-orm'
import { type World, world } from '../../test/world.ts'
import { newId } from '../credential.ts'
import { identities, users } from '../db/schema.ts'
import { hashPassword } from '../passwords.ts'

const rounds = 17
/** Argon2 left out makes a factor of seven or more; two cores that eight others use, not half of that. */
const bound = 2.5
const password = 'correct horse'

/** Every kind of account that is not let in, by the e-mail and the password that are tried. */
async function kinds(w: World): Promise<Record<string, (round: number) => [string, string]>> {
  const passwordHash = await hashPassword(password)
  const make = async (email: string, set: Partial<typeof users.$inferInsert>) => {
    const { id } = await w.user(email)
    await w.db.update(users).set(set).where(eq(users.id, id))
    return id
  }
  await make('known@example.com', { passwordHash })
  await make('admin@example.com', { passwordHash, isAdmin: true })
  await make('disabled@example.com', { passwordHash, disabledAt: w.clock.now })
  await make('once@example.com', { passwordHash, isPasswordOneTime: true })
  await make('none@example.com', { passwordHash: null })
  const provider = await w.client.providers.create({
    ...{ name: 'okta', issuer: 'https://id.example.com', clientId: 'infra' },
  })
  const userId = await make('oidc@example.com', { passwordHash: null })
  await w.db.insert(identities).values({
    ...{ issuer: provider.issuer, subject: 'oidc', providerId: provider.id, userId },
    ...{ email: 'oidc@example.com', createdAt: w.clock.now },
  })
  return {
    'a wrong password': () => ['known@example.com', 'wrong'],
    'an unknown user': (round) => [`nobody${round}${newId()}@example.com`, 'wrong'],
    'what is no e-mail': (round) => [`nobody ${round}`, 'wrong'],
    "an administrator's wrong password": () => ['admin@example.com', 'wrong'],
    'a disabled user, the right password': () => ['disabled@example.com', password],
    'a disabled user, a wrong password': () => ['disabled@example.com', 'wrong'],
    'a wrong one-time password': () => ['once@example.com', 'wrong'],
    'a user without a password': () => ['none@example.com', 'wrong'],
    'a user of a provider': () => ['oidc@example.com', 'wrong'],
  }
}

test('L7: no kind of account is told by what a wrong password takes, or by any of the answer', async (t) => {
  const { write } = process.stderr
  process.stderr.write = () => true
  t.after(() => {
    process.stderr.write = write
  })
  const w = await world(t)
  const tried = await kinds(w)
  const times = new Map<string, number[]>()
  const answers = new Set<string>()
  for (let round = 0; round < rounds; round += 1) {
    // Nobody is stopped by the count here: each round is a quarter of an hour after the last.
    w.clock.now = new Date(w.clock.now.getTime() + 16 * 60_000)
    const inTurn = Object.entries(tried)
    // Each round begins with another kind: none of them is always the one after a pause.
    for (const [kind, words] of [...inTurn.slice(round % 9), ...inTurn.slice(0, round % 9)]) {
      const [email, given] = words(round)
      const { took, answer } = await timed(w, email, given)
      times.set(kind, [...(times.get(kind) ?? []), took])
      answers.add(answer)
    }
  }
  assert.equal(answers.size, 1, [...answers].join('\n'))
  assert.match([...answers].join(), /^401 .*wrong e-mail or password/)
  const typical = [...times].map(([kind, all]): [string, number] => [kind, quartileOf(all)])
  const slowest = Math.max(...typical.map(([, took]) => took))
  for (const [kind, took] of typical) {
    const said = `${kind} takes ${took.toFixed(1)} ms, and the slowest ${slowest.toFixed(1)} ms`
    assert.ok(slowest / took < bound, said)
  }
})

async function timed(w: World, email: string, given: string) {
  const request = new Request('http://server/api/login/password', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: given }),
  })
  const began = performance.now()
  const response = await w.fetch(request)
  const text = await response.text()
  const took = performance.now() - began
  const headers = [...response.headers].map((pair) => pair.join(': ')).join('; ')
  return { took, answer: `${response.status} ${headers} ${text}` }
}

function quartileOf(all: number[]): number {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length / 4)] ?? 0
}

test('an unknown id and a wrong secret of a session, a key or a connector are one answer', async (t) => {
  const w = await world(t)
  const ana = await w.user('ana@example.com')
  const key = await ana.client.keys.create({ name: 'ci' })
  const { accessKey } = await w.client.destinations.create({ name: 'prod' })
  const secret = 'x'.repeat(43)
  const answers = new Set<string>()
  for (const known of [ana.credential, key.accessKey, accessKey, `${newId()}.${secret}`]) {
    const id = known.split('.')[0]
    for (const wrong of [`${id}.${secret}`, `${id}.${'x'.repeat(22)}`, `${id}.x`, `${id}.`, id]) {
      const headers = { authorization: `Bearer ${wrong}` }
      const response = await w.fetch(new Request('http://server/api/me', { headers }))
      const said = [...response.headers].map((pair) => pair.join(': ')).join('; ')
      answers.add(`${response.status} ${said} ${await response.text()}`)
    }
  }
  assert.equal(answers.size, 1, [...answers].join('\n'))
})
