/** Every way to fail that a caller is meant to tell apart, and its HTTP status. */
export const statusOf = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  expired: 410,
  too_many: 429,
  unavailable: 503,
} as const
export type FailureCode = keyof typeof statusOf

/**
 * A failure its caller can act on. Anything else that is thrown is a bug: it is logged whole and
 * answered as a bare 500.
 *
 * `message` is public: one sentence, lower case, no full stop, no secret. What must not be told
 * goes in `cause`, which is logged and never sent.
 */
export class Failure extends Error {
  readonly code: FailureCode

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Failure'
    this.code = code
  }
}

/** Whether `code`, read from the wire, is one of ours. */
export function isFailureCode(code: unknown): code is FailureCode {
  return typeof code === 'string' && Object.hasOwn(statusOf, code)
}
