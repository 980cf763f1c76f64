import { type ConnectorInstance, Endpoint, type Destination } from '../../src/wire/destinations.ts'
import { formatDuration } from '../../src/wire/duration.ts'
import { command, format, noun } from '../command.ts'
import { signedIn } from '../connect.ts'
import { Misuse } from '../hint.ts'
import { secondsOf } from '../arguments/span.ts'
import { showFacts, showList, showOne, when } from '../terminal/table.ts'

const name = { type: 'positional', description: 'name of the destination, a DNS label' } as const

const add = command({
  summary: 'add a destination',
  detail: 'Prints the access key of its connector once, and what to run beside the cluster.',
  arguments: { name, format },
  examples: ['infra destinations add prod', 'infra destinations add prod --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client, server }) => {
      const { id, name: made, accessKey } = await client.destinations.create({ name: values.name })
      showOne(
        terminal,
        values.format,
        { name: made, id, accessKey },
        {
          NAME: (row) => row.name,
          ID: (row) => row.id,
          'ACCESS KEY': (row) => row.accessKey,
        },
      )
      for (const line of [
        'The access key is shown this once. Beside the cluster, put it into a file that only its owner can',
        'read, and run the connector (deploy/connector.yaml holds its rights):',
        `  INFRA_SERVER=${server} INFRA_ACCESS_KEY_FILE=connector.key INFRA_CONNECTOR_ENDPOINT=HOST:6443 infra connector`,
      ])
        terminal.err(line)
    }),
})

const edit = command({
  summary: 'change a destination',
  arguments: {
    name,
    lease: {
      type: 'string',
      valueHint: 'DURATION',
      description: 'how long its connector admits anybody without word from the server, 15s to 24h',
    },
    'on-lease-end': {
      type: 'enum',
      options: ['cut', 'keep'],
      description: 'what becomes of open streams when the lease ends',
    },
    endpoint: {
      type: 'string',
      valueHint: 'HOST:PORT',
      description: 'where kubectl reaches the connector; consents to one that it reported',
    },
    format,
  },
  examples: [
    'infra destinations edit prod --lease 15s',
    'infra destinations edit prod --endpoint prod.example.com:6443',
  ],
  run: (terminal, values) => {
    const leaseSeconds = secondsOf('lease', values.lease) ?? undefined
    const { endpoint, 'on-lease-end': onLeaseEnd } = values
    if (leaseSeconds === undefined && endpoint === undefined && onLeaseEnd === undefined) {
      throw new Misuse('there is nothing to change')
    }
    if (endpoint !== undefined && !Endpoint.safeParse(endpoint).success)
      throw new Misuse('--endpoint must be HOST:PORT')
    return signedIn(terminal, async ({ client }) => {
      const edited = await client.destinations.update({
        destination: values.name,
        leaseSeconds,
        endpoint,
        onLeaseEnd,
      })
      showOne(terminal, values.format, edited, columns)
    })
  },
})

const list = command({
  summary: 'list destinations and the links of their connectors',
  arguments: { format },
  examples: ['infra destinations list', 'infra destinations list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showList(terminal, values.format, await client.destinations.list(), columns),
    ),
})

const show = command({
  summary: 'show all of one destination, and how each of its connectors stands',
  arguments: { name, format },
  examples: ['infra destinations show prod'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) => {
      const it = await client.destinations.get(values.name)
      if (values.format === 'json') return showOne(terminal, 'json', it, columns)
      showFacts(terminal, {
        Name: it.name,
        Id: it.id,
        Endpoint: it.endpoint ?? 'none reported yet',
        ...(it.pendingEndpoint === null ? {} : { 'Waits for consent': it.pendingEndpoint }),
        Lease: formatDuration(it.leaseSeconds),
        'When it ends': `${it.onLeaseEnd} open streams`,
        Link: it.link,
        'Connectors linked': String(it.linked),
        ...Object.fromEntries(
          it.problems.map((problem, at) => [at === 0 ? 'Problems' : `(${at + 1})`, problem]),
        ),
        'Last seen': when(it.lastSeenAt) || 'never',
        Added: when(it.createdAt),
      })
      if (it.connectors.length === 0) return
      terminal.out('')
      showList(terminal, 'table', it.connectors, instanceColumns)
    }),
})

const remove = command({
  summary: 'remove a destination, with its grants and keys; everything open there is cut',
  arguments: { name },
  examples: ['infra destinations remove prod'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) => {
      await client.destinations.delete(values.name)
      terminal.err(`Removed ${values.name}.`)
    }),
})

export const destinations = noun('administer destinations', { add, edit, list, show, remove })

const columns = {
  NAME: ({ name: shown }: Destination) => shown,
  ENDPOINT: ({ endpoint }: Destination) => endpoint ?? '',
  'WAITS FOR CONSENT': ({ pendingEndpoint }: Destination) => pendingEndpoint ?? '',
  LEASE: ({ leaseSeconds }: Destination) => formatDuration(leaseSeconds),
  LINK: ({ link }: Destination) => link,
  'LAST SEEN': ({ lastSeenAt }: Destination) => when(lastSeenAt),
  ID: ({ id }: Destination) => id,
}

const instanceColumns = {
  CONNECTOR: ({ instance }: ConnectorInstance) => instance,
  LINK: ({ link, silentSince }: ConnectorInstance) =>
    silentSince === null ? link : `${link} since ${when(silentSince)}`,
  'LEASE LEFT': ({ leaseLeftSeconds }: ConnectorInstance) =>
    leaseLeftSeconds === null ? '' : formatDuration(Math.floor(leaseLeftSeconds)),
  REVISION: ({ revision }: ConnectorInstance) => revision?.toString() ?? '',
  BEHIND: ({ behind }: ConnectorInstance) =>
    behind ? `${behind.revisions}, since ${when(behind.since)}` : '',
  'LAST REVOCATION': ({ lastRevocation: last }: ConnectorInstance) =>
    last ? `${when(last.at)}, in ${Math.round(last.ms)}ms, ${last.severed} severed` : '',
}
