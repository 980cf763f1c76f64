/** The instances of a destination as an administrator is shown them: by receipts, and by marks. */
import type { Links } from '../call.ts'
import type { ConnectorRow } from '../connectors.ts'
import type { Receipt } from './receipt.ts'
import type { Receipts } from './receipts.ts'
import type { ConnectorInstance } from '../wire/destinations.ts'

/**
 * Of whoever moved to another server, or was last heard of before this one started, only the
 * database knows.
 */
export function instancesOf(
  receipts: Receipts,
  destinationId: string,
  { marked, now }: { marked: ConnectorRow[]; now: Date },
): ConnectorInstance[] {
  const isElsewhere = ({ instance, heardAt }: ConnectorRow): boolean => {
    const here = receipts.find(destinationId, instance)
    return !here || (here.state(now) === 'silent' && heardAt > here.heardAt)
  }
  const elsewhere = marked.filter(isElsewhere)
  const here = receipts
    .concerned(destinationId)
    .filter(({ instance }) => !elsewhere.some((row) => row.instance === instance))
  return [
    ...here.map((receipt) => byReceipt(receipts, receipt, now)),
    ...elsewhere.map((row) => byMark(row, now)),
  ]
}

/** Whoever has not been heard of since this server started, and may hold a lease: for a receipt. */
export function neverHeard(
  receipts: Receipts,
  marked: ConnectorRow[],
): Awaited<ReturnType<Links['enforced']>> {
  const unknown = marked.filter((row) => !receipts.find(row.destinationId, row.instance))
  return unknown.map(({ instance, leaseEndsAt }) => ({
    ...{ instance, linked: false, link: 'silent' as const, enforcedAt: null, severed: 0 },
    leaseEndsAt: leaseEndsAt.toISOString(),
  }))
}

function byReceipt(receipts: Receipts, receipt: Receipt, now: Date): ConnectorInstance {
  const { instance, heardAt, lastRevoked } = receipt
  const link = receipt.state(now)
  const behind = receipts.behind(receipt)
  return {
    ...{ instance, link, revision: receipt.enforced },
    silentSince: link === 'silent' ? heardAt.toISOString() : null,
    ...leaseOf(receipt.leaseEndsAt(), now),
    behind: behind && { ...behind, since: behind.since.toISOString() },
    lastRevocation: lastRevoked && { ...lastRevoked, at: lastRevoked.at.toISOString() },
  }
}

function byMark(
  { instance, via, heardAt, silentAt, leaseEndsAt }: ConnectorRow,
  now: Date,
): ConnectorInstance {
  const link = via === 'link' ? 'linked' : 'polling'
  return {
    ...{ instance, revision: null, behind: null, lastRevocation: null },
    link: silentAt ? 'silent' : link,
    silentSince: silentAt && heardAt.toISOString(),
    ...leaseOf(leaseEndsAt, now),
  }
}

function leaseOf(endsAt: Date | null, now: Date) {
  if (!endsAt) return { leaseEndsAt: null, leaseLeftSeconds: null }
  const leaseLeftSeconds = Math.max(0, endsAt.getTime() - now.getTime()) / 1000
  return { leaseEndsAt: endsAt.toISOString(), leaseLeftSeconds }
}
