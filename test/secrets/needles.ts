/** The forms in which a credential may stand in a text: each is searched for as it is. */
import type { Kind, Secret } from './record.ts'

/** What is searched for, byte for byte. */
export type Needle = { kind: Kind; bytes: Buffer }

/** Shorter ones are words, and stand everywhere. */
export const shortest = 8

/** None where it is too short to be told from other text. */
export function needlesOf({ kind, value }: Secret): Needle[] {
  const part = tellingPart(value)
  const forms = new Set([part, ...encoded(part)])
  return [...forms]
    .map((form) => Buffer.from(form))
    .filter((bytes) => bytes.length >= shortest)
    .map((bytes) => ({ kind, bytes }))
}

/**
 * What alone makes it a credential: the secret half of `id.secret`, the signature of a token, the
 * line of a private key's PEM that holds the key. The rest of each may be known.
 */
export function tellingPart(value: string): string {
  const [, line] = /-----BEGIN [A-Z ]*PRIVATE KEY-----\s+\S+\s+(\S{40,})/.exec(value) ?? []
  if (line) return line
  const halves = /^[\w-]+\.([\w-]+\.)?([\w-]{22,})$/.exec(value)
  return halves?.[2] ?? value
}

function encoded(part: string): string[] {
  const percent = encodeURIComponent(part)
  return [
    percent,
    percent.replaceAll('%20', '+'),
    JSON.stringify(part).slice(1, -1),
    ...[0, 1, 2].flatMap((before) => base64(part, before)),
  ]
}

/**
 * What base64 makes of `part` where that many bytes stand before it, without the letters at both
 * ends that depend on what is around: so it is found within anything that was encoded.
 */
function base64(part: string, before: number): string[] {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(part)])
  const whole = bytes.length - (bytes.length % 3)
  const inner = (text: string) => text.slice(before === 0 ? 0 : 4, (whole / 3) * 4)
  return [inner(bytes.toString('base64')), inner(bytes.toString('base64url'))]
}
