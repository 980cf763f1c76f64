/** What is wrong with a provider's answer, said without anything of the answer. */
import {
  AuthorizationResponseError,
  OperationProcessingError,
  ResponseBodyError,
  UnsupportedOperationError,
  WWWAuthenticateChallengeError,
} from 'oauth4webapi'
import { Failure } from '../wire/failure.ts'

/**
 * Does `work`, which calls oauth4webapi, and turns its errors into one kind of refusal.
 *
 * The original error is not kept as the cause: it holds the response, its body, the claims or the
 * token that it complains of. Its name, code and sentence are, and those are the library's own.
 *
 * @throws {Failure} `unavailable` where the provider could not be reached.
 */
export async function judged<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Failure) throw error
    throw refusedAnswer(whatOf(error), bare(error))
  }
}

export function refusedAnswer(what: string, cause?: Error): Failure {
  return new Failure('unauthenticated', `the provider's answer was refused: ${what}`, {
    cause: cause ?? new Error(what),
  })
}

function whatOf(error: unknown): string {
  if (error instanceof AuthorizationResponseError || error instanceof ResponseBodyError) {
    return `it says ${errorCode(error.error)}`
  }
  if (error instanceof WWWAuthenticateChallengeError) return 'it does not accept our credential'
  if (error instanceof OperationProcessingError || error instanceof UnsupportedOperationError) {
    return error.message.replaceAll('"', "'")
  }
  return 'it cannot be read'
}

/** An `error` comes from elsewhere: it is repeated only in the form of RFC 6749's codes. */
function errorCode(error: string): string {
  return /^[a-z_]{1,50}$/.test(error) ? error : 'an error'
}

/**
 * The same error without anything that came over the wire. Only the library's own sentences are
 * kept: JSON's and the Web Crypto's errors quote what they could not read.
 */
function bare(error: unknown): Error {
  const isTheLibrarys =
    error instanceof OperationProcessingError || error instanceof UnsupportedOperationError
  const copy = new Error(isTheLibrarys ? error.message : 'no more is said: it may hold a secret')
  if (error instanceof Error) copy.name = error.name
  return Object.assign(copy, codeOf(error))
}

function codeOf(error: unknown): { code?: string } {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? { code } : {}
}
