/** What the database refuses, as a failure that its caller can act on. */
import { DrizzleQueryError } from 'drizzle-orm/errors'
import { Failure } from '../wire/failure.ts'

/** What is already there, by the constraint that says so. */
const taken: Record<string, string> = {
  users_email: 'there is already a user with this e-mail',
  groups_name: 'there is already a group with this name',
  providers_name: 'there is already a provider with this name',
  destinations_name: 'there is already a destination with this name',
  access_keys_name: 'there is already an access key with this name',
  memberships_group_id_user_id_pk: 'the user is already in the group',
  identities_provider_id_issuer_subject_pk: 'this identity is already known',
}

/** SQLSTATEs of PostgreSQL, appendix A. */
const uniqueViolation = '23505'
const foreignKeyViolation = '23503'
/** What cannot be stored: a NUL in a text or in JSON, say. */
const unstorable = new Set([
  '22021', // character_not_in_repertoire
  '22P05', // untranslatable_character
])
const passing = new Set([
  '55P03', // lock_not_available: another change holds the lock for too long
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '53100', // disk_full
  '53200', // out_of_memory
  '53300', // too_many_connections
  '57014', // query_canceled: it took longer than a statement may
])
const lost = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '25006', // read_only_sql_transaction: what was the primary is a standby now
  '25P03', // idle_in_transaction_session_timeout
  ...['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['CONNECTION_CLOSED', 'CONNECTION_ENDED', 'CONNECTION_DESTROYED', 'CONNECT_TIMEOUT'],
])

/**
 * `error` as it may be answered and logged: a `Failure` where the caller can act on it, else the
 * driver's own error. Drizzle's wrapper is dropped, because its message repeats the parameters of
 * the query, hashes and e-mails among them.
 */
export function fromDatabase(error: unknown): unknown {
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  const code = textOf(cause, 'code')
  if (code === null) return cause
  if (code === uniqueViolation) {
    const constraint = textOf(cause, 'constraint') ?? textOf(cause, 'constraint_name') ?? ''
    return new Failure('conflict', taken[constraint] ?? 'it is already there', { cause })
  }
  if (code === foreignKeyViolation) {
    return new Failure('conflict', 'something that this refers to was deleted meanwhile', { cause })
  }
  if (unstorable.has(code)) {
    return new Failure('invalid', 'a text holds what cannot be stored', { cause })
  }
  if (passing.has(code))
    return new Failure('unavailable', 'the database is busy, try again', { cause })
  // A socket file that is not there is a database that does not run, and no file of ours.
  if (lost.has(code) || code.startsWith('08') || textOf(cause, 'syscall') === 'connect') {
    return new Failure('unavailable', 'the database cannot be reached', { cause })
  }
  return cause
}

function textOf(value: unknown, key: string): string | null {
  if (typeof value !== 'object' || value === null) return null
  const text = (value as Record<string, unknown>)[key]
  return typeof text === 'string' ? text : null
}
