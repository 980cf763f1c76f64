import type { Grant } from '../../src/wire/grants.ts'
import { command, format, noun } from '../command.ts'
import { signedIn } from '../connect.ts'
import { type Place, placeFrom } from '../arguments/place.ts'
import { instantAfter, secondsOf } from '../arguments/span.ts'
import { receiptOf, sayUnenforced, showReceipts, wait } from '../receipt.ts'
import { showList, showOne, when } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'
import type { Connection } from '../connect.ts'

const words = {
  subject: { type: 'positional', description: 'e-mail of a user, or name of a group with --group' },
  destination: {
    type: 'positional',
    valueHint: 'DESTINATION[.NAMESPACE]',
    description: 'where: all of it, or one namespace',
  },
  role: {
    type: 'string',
    required: true,
    valueHint: 'ROLE',
    description: 'a ClusterRole there, such as view, edit or admin',
  },
  group: { type: 'boolean', description: 'SUBJECT is a group' },
} as const

const add = command({
  summary: 'give a role at a destination',
  arguments: {
    ...words,
    for: {
      type: 'string',
      valueHint: 'DURATION',
      description: 'the grant ends by itself after this long',
    },
    wait,
    format,
  },
  examples: [
    'infra grants add ana@example.com prod --role view',
    'infra grants add ops prod.web --role edit --group --for 12h',
    'infra grants add ana@example.com prod --role admin --wait',
  ],
  run: (terminal, values) => {
    const place = placeFrom(values.destination)
    const waitSeconds = secondsOf('wait', values.wait)
    const expiresAt = instantAfter('for', values.for, terminal.now())
    return signedIn(terminal, async (connection) => {
      const grant = await connection.client.grants.create({
        ...subjectOf(values),
        ...place,
        role: values.role,
        expiresAt,
      })
      if (values.format === 'table') showOne(terminal, 'table', grant, columns)
      return receipted(terminal, connection, { values, waitSeconds, place, change: grant })
    })
  },
})

const remove = command({
  summary: 'take a role at a destination away',
  detail: 'Removes every grant that says the same. What is open because of them is cut at once.',
  arguments: { ...words, wait, format },
  examples: [
    'infra grants remove ana@example.com prod --role view',
    'infra grants remove ops prod.web --role edit --group --wait=1m',
  ],
  run: (terminal, values) => {
    const place = placeFrom(values.destination)
    const waitSeconds = secondsOf('wait', values.wait)
    return signedIn(terminal, async (connection) => {
      const revoked = await connection.client.grants.revokeByWords({
        ...subjectOf(values),
        ...place,
        role: values.role,
      })
      if (values.format === 'table')
        terminal.err(
          `Removed ${revoked.revoked.length} grant${revoked.revoked.length === 1 ? '' : 's'}.`,
        )
      return receipted(terminal, connection, { values, waitSeconds, place, change: revoked })
    })
  },
})

const list = command({
  summary: 'list all grants',
  arguments: { format },
  examples: ['infra grants list', 'infra grants list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showList(terminal, values.format, await client.grants.list(), columns),
    ),
})

export const grants = noun('give and take away access', { add, remove, list })

const columns = {
  SUBJECT: ({ subject }: Grant) => subject.name,
  KIND: ({ subject }: Grant) => subject.kind,
  DESTINATION: ({ destination }: Grant) => destination.name,
  NAMESPACE: ({ namespace }: Grant) => namespace ?? '',
  ROLE: ({ role }: Grant) => role,
  UNTIL: ({ expiresAt }: Grant) => when(expiresAt),
  ID: ({ id }: Grant) => id,
}

function subjectOf({
  subject,
  group,
}: {
  subject: string
  group: boolean | undefined
}): { user: string } | { group: string } {
  return group ? { group: subject } : { user: subject }
}

type Asked = {
  values: { format: string }
  waitSeconds: number | null
  place: Place
  change: { revision: number }
}

/** Waits for the receipt where one is asked for, prints the change in JSON, gives the exit code. */
async function receipted(
  terminal: Terminal,
  { client }: Connection,
  asked: Asked,
): Promise<number> {
  const { values, waitSeconds, place, change } = asked
  const receipt =
    waitSeconds === null
      ? null
      : await receiptOf(client, place.destination, change.revision, waitSeconds)
  if (values.format === 'json') {
    terminal.out(JSON.stringify(receipt ? { ...change, receipt } : change, null, 2))
    return receipt ? sayUnenforced(terminal, [receipt]) : 0
  }
  if (!receipt) return 0
  showReceipts(terminal, [receipt])
  return sayUnenforced(terminal, [receipt])
}
