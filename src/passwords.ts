/**
 * Passwords: argon2id hashes, of which only a few are made at once, because each takes 19 MiB and a
 * core for some milliseconds, and strangers decide how many are asked for.
 */
import { randomInt } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import { Failure } from './wire/failure.ts'

/** OWASP's choice for argon2id (the library's own default algorithm). */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/**
 * The hash of a random text that nobody kept, of the same cost as ours. Verified where there is no
 * hash, so that an unknown user takes as long as a wrong password.
 */
const nobodys =
  '$argon2id$v=19$m=19456,t=2,p=1$PoQOwZWG3DjvTl34xHsCyA$SsirisKoGrmae/OVJj/AsIcW5NhblVv02Yp13FWT7lI'

/** No letters that are read for another: i, l, o, 0, 1. */
const clearLetters = 'abcdefghjkmnpqrstuvwxyz23456789'

export async function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(written(password), cost))
}

/** Whether `password` is the one hashed. Without a hash it never is, after the same work. */
export async function verifyPassword(hashed: string | null, password: string): Promise<boolean> {
  const isRight = await inTurn(() => verify(hashed ?? nobodys, written(password)))
  return hashed !== null && isRight
}

/** Twenty letters in four groups, 99 random bits, fit to be read aloud and typed in a shell. */
export function oneTimePassword(): string {
  const letters = Array.from({ length: 20 }, () => clearLetters[randomInt(clearLetters.length)])
  return letters.join('').replace(/(.{5})(?!$)/g, '$1-')
}

/** Keyboards write an accented letter in one code point or in two: both are the same password. */
function written(password: string): string {
  return password.normalize('NFC')
}

const atOnce = 4
const maxWaiting = 100
let running = 0
const waiting: (() => void)[] = []

/**
 * Does `work` when fewer than `atOnce` others run. A longer queue than a person would wait for is
 * refused instead of held in memory.
 */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) {
    if (waiting.length >= maxWaiting) {
      throw new Failure('unavailable', 'too many logins at once, try again in a moment')
    }
    await new Promise<void>((resolve) => waiting.push(resolve))
  } else {
    running += 1
  }
  try {
    return await work()
  } finally {
    // The place is handed to the next in line, not freed: `running` never exceeds `atOnce`.
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }
}
