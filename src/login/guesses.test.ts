/** threats.md L7: password guesses are limited per account and address. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { eq } from 'drizzle-orm'
import { written } from '../../test/secrets/record.ts'
import { world, type World } from '../../test/world.ts'
import { createApp } from '../app.ts'
import { guesses, users } from '../db/schema.ts'
import { countGuess, networkOf } from './guesses.ts'
import { hashPassword } from '../passwords.ts'
import { RequestCounts } from '../metrics.ts'
import { Client } from '../wire/client.ts'

async function stage(t: TestContext) {
  const { write } = process.stderr
  process.stderr.write = (text: string | Uint8Array) => {
    written('server log', 'server', String(text))
    return true
  }
  t.after(() => {
    process.stderr.write = write
  })
  const made = await world(t)
  const ana = await made.user('ana@example.com')
  const passwordHash = await hashPassword('correct horse')
  await made.db.update(users).set({ passwordHash }).where(eq(users.id, ana.id))
  return { made, ana }
}

/** A stranger at an address of their own. */
const from = ({ app }: World, address: string) => {
  const { login } = new Client('http://server', null, (request) =>
    app.fetch(request, { address, upgrade: null }),
  )
  return (email: string, password: string) => login.password({ email, password })
}

test('L7: after ten wrong passwords an account is closed for a while, from every address', async (t) => {
  const { made, ana } = await stage(t)
  for (let tries = 0; tries < 10; tries += 1) {
    const guess = from(made, `192.0.2.${tries}`)
    await assert.rejects(guess('ANA@example.com', 'wrong'), { code: 'unauthenticated' })
  }
  await assert.rejects(from(made, '192.0.2.99')(ana.email, 'correct horse'), {
    code: 'too_many',
    message: /try again in 15 minutes/,
  })
  made.clock.now = new Date(made.clock.now.getTime() + 15 * 60_000)
  await from(made, '192.0.2.99')(ana.email, 'correct horse')
})

test('L7: an account that does not exist is closed like any other', async (t) => {
  const { made } = await stage(t)
  const guess = from(made, '192.0.2.1')
  for (let tries = 0; tries < 10; tries += 1) {
    await assert.rejects(guess('nobody@example.com', 'wrong'), { code: 'unauthenticated' })
  }
  await assert.rejects(guess('nobody@example.com', 'wrong'), { code: 'too_many' })
})

test('L7: of guesses at the same instant no more than ten are tried', async (t) => {
  const { made, ana } = await stage(t)
  const guess = from(made, '192.0.2.1')
  const answers = await Promise.allSettled(
    Array.from({ length: 30 }, () => guess(ana.email, 'wrong')),
  )
  const codes = answers.map((answer) => (answer.status === 'rejected' ? answer.reason.code : 'in'))
  assert.equal(codes.filter((code) => code === 'unauthenticated').length, 10)
  assert.equal(codes.filter((code) => code === 'too_many').length, 20)
})

test('L7: an address that tries many accounts is stopped, and adds no rows from then on', async (t) => {
  const { made } = await stage(t)
  const { db, clock } = made
  const address = '192.0.2.1'
  for (let tries = 0; tries < 100; tries += 1) {
    await countGuess(db, { account: `user${tries}@example.com`, address, now: clock.now })
  }
  const rows = await db.$count(guesses)
  await assert.rejects(from(made, address)('one@example.com', 'wrong'), { code: 'too_many' })
  assert.equal(await db.$count(guesses), rows)
  await assert.rejects(from(made, '192.0.2.2')('one@example.com', 'x'), { code: 'unauthenticated' })
})

test('L7: a right password forgives the wrong ones before it', async (t) => {
  const { made, ana } = await stage(t)
  const guess = from(made, '192.0.2.1')
  for (let round = 0; round < 2; round += 1) {
    for (let tries = 0; tries < 9; tries += 1) {
      await assert.rejects(guess(ana.email, 'wrong'), { code: 'unauthenticated' })
    }
    await guess(ana.email, 'correct horse')
  }
})

test('L7: a right password gives the address one try back', async (t) => {
  const { made, ana } = await stage(t)
  const { db, clock } = made
  const address = '192.0.2.1'
  for (let tries = 0; tries < 99; tries += 1) {
    await countGuess(db, { account: `user${tries}@example.com`, address, now: clock.now })
  }
  const guess = from(made, address)
  await guess(ana.email, 'correct horse')
  await guess(ana.email, 'correct horse')
  await assert.rejects(guess(ana.email, 'wrong'), { code: 'unauthenticated' })
  await assert.rejects(guess(ana.email, 'correct horse'), { code: 'too_many' })
})

test('L7: what is counted is kept in the database, names nobody and goes away by itself', async (t) => {
  const { made, ana } = await stage(t)
  await assert.rejects(from(made, '192.0.2.1')(ana.email, 'wrong'))
  const rows = await made.db.select().from(guesses)
  assert.equal(rows.length, 2)
  for (const { key } of rows) assert.match(key, /^[A-Za-z0-9_-]{43}$/)
  made.clock.now = new Date(made.clock.now.getTime() + 16 * 60_000)
  await assert.rejects(from(made, '198.51.100.1')('ben@example.com', 'wrong'))
  assert.equal(await made.db.$count(guesses), 2)
})

test('L7: a restart of the server forgives nothing', async (t) => {
  const { made, ana } = await stage(t)
  for (let tries = 0; tries < 10; tries += 1) {
    await assert.rejects(from(made, '192.0.2.1')(ana.email, 'wrong'), { code: 'unauthenticated' })
  }
  const { db, settings, sealer, authority, hub, follow } = made
  const app = createApp({
    ...{ db, settings, sealer, authority, hub, follow, requests: new RequestCounts() },
    ...{ providerFetch: () => assert.fail(), clock: () => made.clock.now },
  })
  const again = from({ ...made, app }, '192.0.2.2')
  await assert.rejects(again(ana.email, 'correct horse'), { code: 'too_many' })
})

test('L7, P7: who writes forwarded addresses is counted by the address that knocks', async (t) => {
  const { made } = await stage(t)
  const { db, clock, app } = made
  for (let tries = 0; tries < 100; tries += 1) {
    const account = `user${tries}@example.com`
    await countGuess(db, { account, address: '192.0.2.1', now: clock.now })
  }
  const headers = ['x-forwarded-for', 'x-real-ip', 'forwarded', 'x-client-ip', 'cf-connecting-ip']
  for (const name of headers) {
    const request = new Request('http://server/api/login/password', {
      method: 'POST',
      headers: { 'content-type': 'application/json', [name]: '198.51.100.7' },
      body: JSON.stringify({ email: 'one@example.com', password: 'x' }),
    })
    const peer = { address: '::ffff:192.0.2.1', upgrade: null }
    assert.equal((await app.fetch(request, peer)).status, 429, name)
  }
})

test('L7: an account is one, however its e-mail is written, and a try that is malformed counts nothing', async (t) => {
  const { made, ana } = await stage(t)
  const guess = from(made, '192.0.2.1')
  for (const email of ['ana@example.com\0', 'x'.repeat(255)]) {
    await assert.rejects(guess(email, 'wrong'), { code: 'invalid' })
  }
  assert.equal(await made.db.$count(guesses), 0)
  const written = ['ana@example.com', 'ANA@EXAMPLE.COM', 'Ana@Example.com']
  for (let tries = 0; tries < 10; tries += 1) {
    const email = written[tries % written.length] ?? ''
    await assert.rejects(guess(email, 'wrong'), { code: 'unauthenticated' })
  }
  await assert.rejects(guess(ana.email, 'correct horse'), { code: 'too_many' })
})

test('L7: a guesser behind a proxy of ours is counted alone, and whoever else comes by it is let in', async (t) => {
  const { made, ana } = await stage(t)
  const settings = { ...made.settings, trustedProxies: ['192.0.2.0/24'] }
  const { db, sealer, authority, hub, follow, clock } = made
  const app = createApp({
    ...{ db, settings, sealer, authority, hub, follow, requests: new RequestCounts() },
    ...{ providerFetch: () => assert.fail(), clock: () => clock.now },
  })
  for (let tries = 0; tries < 100; tries += 1) {
    const account = `user${tries}@example.com`
    await countGuess(db, { account, address: '198.51.100.7', now: clock.now })
  }
  const logIn = async (forwarded: string) => {
    const request = new Request('http://server/api/login/password', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': forwarded },
      body: JSON.stringify({ email: ana.email, password: 'correct horse' }),
    })
    return (await app.fetch(request, { address: '192.0.2.1', upgrade: null })).status
  }
  assert.equal(await logIn('203.0.113.5, 198.51.100.7'), 429)
  assert.equal(await logIn('198.51.100.7, 203.0.113.5'), 200)
})

test('an IPv6 host is one guesser with its whole /64, and a mapped address is the IPv4 one', () => {
  assert.equal(networkOf('192.0.2.7'), '192.0.2.7')
  assert.equal(networkOf('::ffff:192.0.2.7'), '192.0.2.7')
  assert.equal(networkOf('2001:db8:1:2:a:b:c:d'), '2001:db8:1:2')
  assert.equal(networkOf('2001:DB8:0001:2::1'), '2001:db8:1:2')
  assert.equal(networkOf('2001:db8::1'), '2001:db8:0:0')
  assert.equal(networkOf('::1'), '0:0:0:0')
  assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0')
  assert.equal(networkOf('unknown'), 'unknown')
})
