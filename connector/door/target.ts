/** The path and the query of a request, as they must be to have one reading. */
import { Refusal } from '../status.ts'

const pathCharacters = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*$/
const queryCharacters = /^[!"$-~]*$/
const badEscape = /%(?![0-9A-Fa-f]{2})/
// Escaped, these are read as themselves by some and as data by others: slash, dot, backslash, and
// the controls, which may end a line or a name for whoever comes next.
const disguised = /%(?:2f|2e|5c|[01][0-9a-f]|7f)/i
/** Empty but for the last, or of dots: mux and cleaners of paths take these away. */
const oddSegment = /\/(?:\.{0,2}\/|\.{1,2}$)/

/**
 * Origin form only (RFC 9112 section 3.2.1), and a path that has one reading: what audit, RBAC and
 * the API server's mux take it for must be the same (security.md D10).
 *
 * @throws {Refusal} 400
 */
export function checkTarget(target: string): void {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? '' : target.slice(mark + 1)
  if (!pathCharacters.test(path)) throw badRequest('the target is not a plain path')
  if (!queryCharacters.test(query)) throw badRequest('the query holds what a query may not')
  if (path.includes('%') && (badEscape.test(path) || disguised.test(path))) {
    throw badRequest('the path holds a disguised or broken escape')
  }
  if (oddSegment.test(path)) throw badRequest('the path holds an empty or a dot segment')
}

function badRequest(message: string): Refusal {
  return new Refusal(400, message)
}
