/** Waits until a change has been enforced, and says where it has and where it has not. */
import type { Client } from '../src/wire/client.ts'
import type { Receipt } from '../src/wire/destinations.ts'
import type { Changed } from '../src/wire/shared.ts'
import { secondsOf } from './arguments/span.ts'
import type { Argument } from './command.ts'
import { signedIn } from './connect.ts'
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

type Asked = {
  values: { wait: string | undefined; format: string }
  /** What is said of a change that was made. */
  done: string
  change: (client: Client) => Promise<Changed>
}

/**
 * Makes a change, and waits for a receipt of each destination that it concerns where that is asked
 * for. The exit code is 0 without waiting, or when every connector that is heard of has enforced it.
 */
export async function changeAndWait(
  terminal: Terminal,
  { values, done, change }: Asked,
): Promise<number> {
  const waitSeconds = secondsOf('wait', values.wait)
  return signedIn(terminal, async ({ client }) => {
    const changed = await change(client)
    if (values.format === 'table') terminal.err(done)
    const receipts = waitSeconds === null ? null : await receiptsOf(client, changed, waitSeconds)
    if (values.format === 'json') {
      terminal.out(JSON.stringify({ ...changed, ...(receipts ? { receipts } : {}) }, null, 2))
    } else if (receipts && receipts.length > 0) showReceipts(terminal, receipts)
    if (!receipts) return 0
    if (receipts.length === 0) terminal.err('no destination is concerned')
    return sayUnenforced(terminal, receipts)
  })
}

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

/** @throws {Error} when the server does not say what is concerned: nobody may take that for none. */
async function receiptsOf(
  client: Client,
  { revision, destinations }: Changed,
  waitSeconds: number,
): Promise<Receipt[]> {
  if (!destinations) throw new Error('this server does not say which destinations are concerned')
  return Promise.all(destinations.map((id) => receiptOf(client, id, revision, waitSeconds)))
}

export function showReceipts(terminal: Terminal, receipts: Receipt[]): void {
  const rows = receipts.flatMap(({ connectors, destination }) =>
    connectors.map((connector) => ({ ...connector, destination })),
  )
  showList(terminal, 'table', rows, {
    DESTINATION: ({ destination }) => destination.name,
    CONNECTOR: ({ instance }) => instance,
    LINK: ({ link }) => link,
    ENFORCED: ({ enforcedAt }) => when(enforcedAt) || 'not yet',
    SEVERED: ({ severed }) => String(severed),
    'LEASE ENDS': ({ leaseEndsAt }) => when(leaseEndsAt),
  })
}

/** Names who has not enforced it, also who is offline; gives the exit code. */
export function sayUnenforced(terminal: Terminal, receipts: Receipt[]): number {
  for (const receipt of receipts) sayUnenforcedAt(terminal, receipt)
  return receipts.every(({ enforced }) => enforced) ? 0 : 1
}

function sayUnenforcedAt(
  terminal: Terminal,
  { connectors, destination, onLeaseEnd }: Receipt,
): void {
  for (const { instance, link, enforcedAt, leaseEndsAt } of connectors) {
    if (enforcedAt !== null) continue
    const kept = onLeaseEnd === 'keep' ? ', and what is open there is kept' : ''
    const until = leaseEndsAt === null ? '' : `; its lease ends at ${when(leaseEndsAt)}${kept}`
    const standing = link === 'silent' ? 'offline' : 'not enforced yet'
    terminal.err(`${standing}: connector ${instance} of ${destination.name}${until}`)
  }
  if (connectors.length === 0) terminal.err(`no connector of ${destination.name} is linked`)
}
