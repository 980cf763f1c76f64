/**
 * What a provider's answer says of a person. Pure: judged from status, headers and body alone.
 *
 * Providers differ from the textbook (Dex says 500 `invalid_request` of a person who was deleted),
 * so the word decides and not the status: an OAuth error object about the person is the provider's
 * word. Whatever else goes wrong is the network's trouble or ours, and ends nobody's session before
 * the grace period.
 */

/** An answer as it came, or the silence in its place. */
export type Answer =
  | { kind: 'answer'; status: number; retryAfter: string | null; body: string }
  /** `wasSent`: the request may have reached the provider, and have had its effect there. */
  | { kind: 'silence'; why: string; wasSent: boolean }

export type Verdict =
  /** The answer grants; what it holds is still to be read. */
  | { kind: 'granted' }
  /** The provider's word about the person. Not sure: said with a 5xx, so it is asked once more. */
  | { kind: 'refused'; word: string; isSure: boolean }
  /** The provider's word about us: our secret, our client, our scopes. */
  | { kind: 'ours'; word: string }
  /** Nothing is known. `maySpend`: a refresh token that was sent may be spent nevertheless. */
  | { kind: 'unknown'; why: string; retryAfterSeconds: number | null; maySpend: boolean }

/** RFC 6749 section 5.2, RFC 6750 section 3.1, OpenID Connect Core section 3.1.2.6. */
const aboutThePerson = new Set([
  ...['invalid_grant', 'invalid_request', 'invalid_token', 'access_denied', 'expired_token'],
  ...['login_required', 'interaction_required', 'consent_required', 'account_selection_required'],
])
const aboutUs = new Set([
  ...['invalid_client', 'unauthorized_client', 'invalid_scope', 'unsupported_grant_type'],
  'insufficient_scope',
])
const passing = new Set(['temporarily_unavailable', 'server_error', 'slow_down'])

const longestRetryAfterSeconds = 86_400

/** The answer of a token endpoint to a refresh token. */
export function judgeGrant(answer: Answer, now: Date): Verdict {
  if (answer.kind === 'silence') return silence(answer)
  const { status, body } = answer
  if (status === 429) return trouble(answer, now)
  const word = errorIn(body)
  if (word !== null) return judgeWord(word, answer, now)
  if (status === 200 && isObject(body)) return { kind: 'granted' }
  // RFC 6749 section 5.2: this status is for a client that could not prove itself.
  if (status === 401) return { kind: 'ours', word: 'status 401' }
  return trouble(answer, now)
}

/** The answer of a userinfo endpoint to an access token that should still be good. */
export function judgeUserinfo(answer: Answer, now: Date): Verdict {
  if (answer.kind === 'silence') return silence(answer)
  const { status, body } = answer
  if (status === 200 && errorIn(body) === null) return { kind: 'granted' }
  // Keycloak says it without a body; there is only the token that could be meant.
  if (status === 401) return { kind: 'refused', word: errorIn(body) ?? 'status 401', isSure: true }
  const word = errorIn(body)
  return word === null || status === 429 ? trouble(answer, now) : judgeWord(word, answer, now)
}

/**
 * The seconds that a `Retry-After` asks for (RFC 9110 section 10.2.3: seconds or a date), a day at
 * most; null where it says nothing that can be read.
 *
 * @example
 * retryAfterSeconds('120', now) // 120
 */
export function retryAfterSeconds(text: string | null, now: Date): number | null {
  if (text === null) return null
  const bare = text.trim()
  const seconds = /^[0-9]{1,9}$/.test(bare)
    ? Number(bare)
    : Math.ceil((Date.parse(bare) - now.getTime()) / 1000)
  if (Number.isNaN(seconds)) return null
  return Math.min(Math.max(seconds, 0), longestRetryAfterSeconds)
}

type Said = Extract<Answer, { kind: 'answer' }>

function judgeWord(word: string, answer: Said, now: Date): Verdict {
  if (aboutUs.has(word)) return { kind: 'ours', word }
  if (passing.has(word)) return trouble(answer, now)
  const isSure = answer.status < 500
  if (aboutThePerson.has(word)) return { kind: 'refused', word, isSure }
  // A 400 is what RFC 6749 prescribes for such an object, so a word of the provider's own counts.
  // With any other status it may be a framework's, which says `{"error":"not_found"}` of a path.
  if (answer.status === 400) return { kind: 'refused', word, isSure: true }
  return trouble(answer, now)
}

/** What it did is not known where a gateway gave up waiting for it. */
function trouble(answer: Said, now: Date): Verdict {
  return {
    kind: 'unknown',
    why: `it answered ${answer.status}`,
    retryAfterSeconds: retryAfterSeconds(answer.retryAfter, now),
    maySpend: answer.status === 504 || answer.status === 200,
  }
}

function silence({ why, wasSent }: Extract<Answer, { kind: 'silence' }>): Verdict {
  return { kind: 'unknown', why, retryAfterSeconds: null, maySpend: wasSent }
}

/** An OAuth error code, in the form of those that are registered: a framework's error is prose. */
function errorIn(body: string): string | null {
  const error = objectIn(body)?.['error']
  return typeof error === 'string' && /^[a-z][a-z_]{0,60}$/.test(error) ? error : null
}

function isObject(body: string): boolean {
  return objectIn(body) !== null
}

export function objectIn(body: string): Record<string, unknown> | null {
  try {
    const read: unknown = JSON.parse(body)
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? { ...read } : null
  } catch {
    return null
  }
}
