/** A destination as the server tells it to whom it is granted. */
import type { MyDestination } from '../../src/wire/destinations.ts'
import { testCa } from './certificates.ts'

/** With the role `view` in each of `namespaces`; null: in all of it. */
export function destination(name: string, namespaces: (string | null)[] = [null]): MyDestination {
  return {
    id: `d-${name}`,
    name,
    endpoint: `${name}.example.com:6443`,
    tlsServerName: `d-${name}.destination.infra`,
    ca: testCa,
    roles: namespaces.map((namespace) => ({ role: 'view', namespace, expiresAt: null })),
  }
}
