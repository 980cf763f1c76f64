/** Waits until a change has been enforced, and says where it has and where it has not. */
import type { Client } from '../src/wire/client.ts'
import type { Receipt } from '../src/wire/destinations.ts'
import type { Argument } from './command.ts'
import { showList, when } from './terminal/table.ts'
import type { Terminal } from './terminal/terminal.ts'

export const wait = {
  type: 'string',
  valueHint: 'DURATION',
  bare: '30s',
  description: 'wait until every connector has enforced it, and print the receipt',
} as const satisfies Argument

/** The longest that one request may wait. */
const stepSeconds = 60

/** The receipt of `revision`, as it stands when everything linked has enforced it or time is up. */
export async function receiptOf(
  client: Client,
  destination: string,
  revision: number,
  waitSeconds: number,
): Promise<Receipt> {
  for (let left = waitSeconds; ; left -= stepSeconds) {
    const receipt = await client.destinations.receipt({
      destination,
      revision,
      waitSeconds: Math.min(left, stepSeconds),
    })
    if (receipt.enforced || left <= stepSeconds) return receipt
  }
}

/** Prints a receipt for a person; gives the exit code. Who is offline is named either way. */
export function showReceipt(terminal: Terminal, receipt: Receipt): number {
  showList(terminal, 'table', receipt.connectors, {
    CONNECTOR: ({ instance }) => instance,
    LINKED: ({ linked }) => (linked ? 'yes' : 'no'),
    ENFORCED: ({ enforcedAt }) => when(enforcedAt) || 'not yet',
    SEVERED: ({ severed }) => String(severed),
    'LEASE ENDS': ({ leaseEndsAt }) => when(leaseEndsAt),
  })
  return sayUnenforced(terminal, receipt)
}

export function sayUnenforced(
  terminal: Terminal,
  { enforced, connectors, destination }: Receipt,
): number {
  for (const { instance, linked, leaseEndsAt } of connectors.filter(
    ({ enforcedAt }) => enforcedAt === null,
  )) {
    const until = leaseEndsAt === null ? '' : `; its lease ends at ${when(leaseEndsAt)}`
    terminal.err(
      `${linked ? 'not enforced yet' : 'offline'}: connector ${instance} of ${destination.name}${until}`,
    )
  }
  if (connectors.length === 0) terminal.err(`no connector of ${destination.name} is linked`)
  return enforced ? 0 : 1
}
