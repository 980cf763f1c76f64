/** A refusal of the connector's own: a Status, on a connection that closes. */
import type { Message } from './oracle.ts'

const statuses = new Set([400, 401, 403, 405, 408, 413, 417, 429, 431, 501, 502, 503, 505])

export function refusalIn({ status, fields, body, method, last, state }: Message): boolean {
  const isOurs =
    statuses.has(status) &&
    fields['cache-control']?.[0] === 'no-store' &&
    last &&
    fields['content-type']?.[0] === 'application/json'
  // A refused HEAD has no body, and whoever reads it as another method finds it cut.
  if (!isOurs || method === 'HEAD' || !body || state !== 'whole') return isOurs
  return isStatus(Buffer.from(body, 'base64').toString(), status)
}

function isStatus(text: string, status: number): boolean {
  try {
    const said = JSON.parse(text) as Record<string, unknown>
    return said['kind'] === 'Status' && said['status'] === 'Failure' && said['code'] === status
  } catch {
    return false
  }
}
