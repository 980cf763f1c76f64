/**
 * What sessions and access keys have in common: `id.secret`, both base64url. The id finds the row;
 * of the secret only the SHA-256 is stored. It has 256 random bits, so it needs no salt and no slow
 * hash: nobody can try them all.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

export type Credential = { id: string; secret: string }

const written = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{22,128})$/

/** Reads `id.secret`; null when `text` is not of that form. */
export function parseCredential(text: string): Credential | null {
  const match = written.exec(text)
  return match?.[1] && match[2] ? { id: match[1], secret: match[2] } : null
}

export function newId(): string {
  return randomBytes(12).toString('hex')
}

export function newCredential(): Credential {
  return { id: newId(), secret: randomBytes(32).toString('base64url') }
}

export function formatCredential({ id, secret }: Credential): string {
  return `${id}.${secret}`
}

export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

/** Compares in constant time: how long a wrong guess takes tells nothing about the right one. */
export function isSecretOf(secret: string, hash: string): boolean {
  const given = Buffer.from(hashSecret(secret))
  const stored = Buffer.from(hash)
  return given.length === stored.length && timingSafeEqual(given, stored)
}
