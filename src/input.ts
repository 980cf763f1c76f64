/**
 * What a request brings, as plain values: the body of a POST or PUT, the query of a GET or DELETE,
 * never both, and over either the parameters of the path. What a row's schema would repair or not
 * see, and the database would choke on, is refused here (security.md S3).
 */
import type { Row } from './call.ts'
import { Failure } from './wire/failure.ts'

type Input = Record<string, unknown>

export const maxBodyBytes = 256 * 1024
/** No shape of ours has more than four levels. */
const maxDepth = 16

export async function inputOf(
  request: Request,
  method: Row['method'],
  path: Record<string, string>,
): Promise<Input> {
  const brought =
    method === 'POST' || method === 'PUT' ? await bodyOf(request) : queryOf(request.url)
  const input = { ...brought, ...path }
  if (!isPlain(input, 0)) {
    throw new Failure('invalid', `a text holds what is no character, or there are too many levels`)
  }
  return input
}

/** A form of another site cannot send this content type without asking first (CORS). */
async function bodyOf(request: Request): Promise<Input> {
  if (!/^application\/json(\s*;|$)/i.test(request.headers.get('content-type') ?? '')) {
    throw new Failure('invalid', 'the content type must be application/json')
  }
  const body = parsed(await bytesOf(request))
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body }
  throw new Failure('invalid', 'the body must be a JSON object')
}

/** Fatal: bytes that are no UTF-8 would otherwise be read as another text than was sent. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    throw new Failure('invalid', 'the body is not JSON')
  }
}

/** Counted as it comes, because the length that a caller announces need not be true. */
async function bytesOf({ body }: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBodyBytes) {
      throw new Failure('invalid', `the body is larger than ${maxBodyBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Each parameter of a query. @throws {Failure} `invalid` where one is given twice or is no text. */
export function queryOf(url: string): Record<string, string> {
  const [, query = ''] = /\?([^#]*)/.exec(url) ?? []
  const given = query.split('&').filter((part) => part !== '')
  const pairs = given.map((part): [string, string] => {
    const [name = '', ...value] = part.split('=')
    return [decoded(name), decoded(value.join('='))]
  })
  if (new Set(pairs.map(([name]) => name)).size === pairs.length) return Object.fromEntries(pairs)
  throw new Failure('invalid', 'a query parameter is given twice')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new Failure('invalid', 'the query is not percent-encoded UTF-8')
  }
}

/** PostgreSQL stores no NUL, and half of a surrogate pair becomes another character on its way. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  if (depth > maxDepth) return false
  return Object.entries(value).every(([name, held]) => {
    return isPlain(name, depth) && isPlain(held, depth + 1)
  })
}
