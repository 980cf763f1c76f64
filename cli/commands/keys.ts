import type { AccessKey } from '../../src/wire/keys.ts'
import { command, format, noun } from '../command.ts'
import { signedIn } from '../connect.ts'
import { Misuse } from '../hint.ts'
import { instantAfter } from '../arguments/span.ts'
import { changeAndWait, wait } from '../receipt.ts'
import { showList, showOne, when } from '../terminal/table.ts'

const name = { type: 'positional', description: 'name of the key' } as const

const add = command({
  summary: 'add an access key',
  detail: 'For yourself, for another user, or for the connector of a destination. Prints it once.',
  arguments: {
    name,
    connector: {
      type: 'string',
      valueHint: 'DESTINATION',
      description: 'a key for the connector of this destination',
    },
    user: { type: 'string', valueHint: 'EMAIL', description: 'a key for this user' },
    expires: {
      type: 'string',
      valueHint: 'DURATION',
      description: 'the key ends by itself after this long',
    },
    format,
  },
  examples: [
    'infra keys add ci --expires 30d',
    'infra keys add prod-2 --connector prod',
    'infra keys add robot --user robot@example.com --format json',
  ],
  run: (terminal, values) => {
    if (values.connector !== undefined && values.user !== undefined)
      throw new Misuse('a key is for a user or for a connector, not for both')
    const expiresAt = instantAfter('expires', values.expires, terminal.now())
    return signedIn(terminal, async ({ client }) => {
      const key = await client.keys.create({
        name: values.name,
        user: values.user,
        destination: values.connector,
        expiresAt,
      })
      showOne(terminal, values.format, key, {
        NAME: (row) => row.name,
        ID: (row) => row.id,
        EXPIRES: (row) => when(row.expiresAt) || 'never',
        'ACCESS KEY': (row) => row.accessKey,
      })
      terminal.err('The access key is shown this once.')
    })
  },
})

const remove = command({
  summary: 'revoke an access key',
  arguments: { name: { ...name, description: 'name or id of the key' }, wait, format },
  examples: ['infra keys remove ci', 'infra keys remove ci --wait'],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `Removed ${values.name}.`,
      change: (client) => client.keys.revoke(values.name),
    }),
})

const list = command({
  summary: 'list access keys',
  arguments: { format },
  examples: ['infra keys list', 'infra keys list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showList(terminal, values.format, await client.keys.list(), columns),
    ),
})

export const keys = noun('administer access keys', { add, remove, list })

const columns = {
  NAME: ({ name: shown }: AccessKey) => shown,
  FOR: ({ user, destination }: AccessKey) => user ?? `connector of ${destination}`,
  EXPIRES: ({ expiresAt }: AccessKey) => when(expiresAt) || 'never',
  'LAST USED': ({ lastUsedAt }: AccessKey) => when(lastUsedAt),
  ID: ({ id }: AccessKey) => id,
}
