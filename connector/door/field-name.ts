/** Names of header fields: judged once, and remembered in lower case. */

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** All programs together know a few dozen. Bounded, as strangers choose them. */
const known = new Map<string, string>()
const maxKnown = 1_000
const maxKnownBytes = 64

/** The name in lower case (RFC 9110 section 5.1); null: it is none. */
export function fieldName(written: string): string | null {
  const judged = known.get(written)
  if (judged !== undefined) return judged
  if (!token.test(written)) return null
  const name = written.toLowerCase()
  if (known.size < maxKnown && name.length <= maxKnownBytes) known.set(apart(written), apart(name))
  return name
}

/** A part of a head keeps all of the head in memory, for as long as the part is kept. */
function apart(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
