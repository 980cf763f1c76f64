/**
 * Guesses: what strangers may try, counted per account and per address in the database, so that a
 * restart or a second replica forgives nothing.
 *
 * A try is counted before any work is done for it and given back when it was right: of many tries
 * at once no more than the limit get through. Whoever knocks on an account often enough can keep
 * its owner from logging in by password for a quarter of an hour; sessions, access keys and
 * providers are not touched by that.
 */
import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { eq, lt, sql } from 'drizzle-orm'
import type { Database } from '../db/database.ts'
import { guesses } from '../db/schema.ts'
import { Failure } from '../wire/failure.ts'

const windowMinutes = 15
const windowMs = windowMinutes * 60_000

/** Wrong passwords per window. */
const perAccount = 10
const perAddress = 100
/** Logins begun with a provider per window: an office may share one address. */
const begunPerAddress = 300

/** `account` is the e-mail as it was given, whether or not anybody bears it. */
export type Guess = { account: string; address: string; now: Date }

/**
 * Counts a password about to be tried.
 *
 * @throws {Failure} `too_many`, the same for accounts that do not exist.
 */
export async function countGuess(db: Database, { account, address, now }: Guess): Promise<void> {
  // The address first: one that is refused adds no rows for accounts it makes up.
  await countUp(db, addressKey(address), perAddress, now)
  await countUp(db, accountKey(account), perAccount, now)
}

/**
 * Takes the guess back: the password was right. The account starts afresh; the address gets back
 * this one try only, or a guesser would wipe the count by logging in to an account of their own.
 */
export async function takeBackGuess(db: Database, { account, address }: Guess): Promise<void> {
  await db.delete(guesses).where(eq(guesses.key, accountKey(account)))
  await db
    .update(guesses)
    .set({ count: sql`greatest(${guesses.count} - 1, 0)` })
    .where(eq(guesses.key, addressKey(address)))
}

/** Counts a login about to be begun with a provider. @throws {Failure} `too_many` */
export async function countBegunLogin(db: Database, address: string, now: Date): Promise<void> {
  await countUp(db, keyOf('begun', networkOf(address)), begunPerAddress, now)
}

/**
 * The network that counts as one guesser: an IPv4 address, or the /64 of an IPv6 address, because
 * every host has a whole one to pick addresses from.
 *
 * @example
 * networkOf('::ffff:192.0.2.7') // '192.0.2.7'
 * networkOf('2001:db8:1:2:a:b:c:d') // '2001:db8:1:2'
 */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const parts = [...left, ...Array<string>(Math.max(zeros, 0)).fill('0'), ...right]
  return parts
    .slice(0, 4)
    .map((part) => part.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':')
}

const accountKey = (account: string) => keyOf('account', account.toLowerCase())
const addressKey = (address: string) => keyOf('address', networkOf(address))

/** Hashed, so that the table lists nobody. */
function keyOf(kind: 'account' | 'address' | 'begun', name: string): string {
  return createHash('sha256').update(`${kind}:${name}`).digest('base64url')
}

/** One statement, so that tries at the same instant are counted one after the other. */
async function countUp(db: Database, key: string, limit: number, now: Date): Promise<void> {
  const begins = new Date(now.getTime() - windowMs)
  const isOver = sql`${guesses.since} <= ${begins.toISOString()}::timestamptz`
  const [row] = await db
    .insert(guesses)
    .values({ key, count: 1, since: now })
    .onConflictDoUpdate({
      target: guesses.key,
      set: {
        count: sql`case when ${isOver} then 1 else ${guesses.count} + 1 end`,
        since: sql`case when ${isOver} then ${now.toISOString()}::timestamptz else ${guesses.since} end`,
      },
    })
    .returning()
  if (!row) throw new Error('a guess was not counted')
  if (row.count === 1) await db.delete(guesses).where(lt(guesses.since, begins))
  if (row.count <= limit) return
  const minutes = Math.ceil((row.since.getTime() + windowMs - now.getTime()) / 60_000)
  const wait = minutes > 1 ? `${minutes} minutes` : 'a minute'
  throw new Failure('too_many', `too many tries, try again in ${wait}`)
}
