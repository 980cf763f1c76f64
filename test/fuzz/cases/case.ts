/** One try: what is sent and how, so whole that it can be repeated from a file. */
import { tokens } from './tokens.ts'

/** How the API server's stand-in answers a request that is good. */
export type Plan = {
  answer: 'counted' | 'chunked' | 'closing' | 'early'
  /** Whether it agrees to an upgrade. */
  switches: boolean
}

export type Case = {
  /** Who is hostile: the caller, or the API server. */
  hostile: 'caller' | 'upstream'
  /** What the caller sends, in the pieces in which it comes; Latin-1, a character a byte. */
  sent: string[]
  /** What the API server answers to the first request, where it is the hostile one. */
  answered: string[]
  /** Whether it closes behind that. */
  closes: boolean
  plan: Plan
  /** When the caller ends: once nothing moves any more, with its last byte, or by a reset. */
  ends: 'in quiet' | 'at once' | 'by reset'
}

/** As JSON in which tokens stand by the names of their users. */
export function written(one: Case): string {
  let text = JSON.stringify(one, null, 1)
  for (const [user, token] of Object.entries(tokens)) text = text.replaceAll(token, `<${user}>`)
  return text
}

export function readCase(text: string): Case {
  let whole = text
  for (const [user, token] of Object.entries(tokens)) whole = whole.replaceAll(`<${user}>`, token)
  return JSON.parse(whole) as Case
}
