import type { Session } from '../../src/wire/sessions.ts'
import { command, format, noun } from '../command.ts'
import { signedIn } from '../connect.ts'
import { changeAndWait, wait } from '../receipt.ts'
import { showList, when } from '../terminal/table.ts'

const list = command({
  summary: 'list sessions: your own, and as an administrator all',
  arguments: { format },
  examples: ['infra sessions list', 'infra sessions list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showList(terminal, values.format, await client.sessions.list(), columns),
    ),
})

const end = command({
  summary: 'end a session; what is open because of it is cut at once',
  arguments: { id: { type: 'positional', description: 'id of the session' }, wait, format },
  examples: ['infra sessions end 3fA9'],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `Ended ${values.id}.`,
      change: (client) => client.sessions.end(values.id),
    }),
})

export const sessions = noun('list and end sessions', { list, end })

const columns = {
  ID: ({ id }: Session) => id,
  USER: ({ user }: Session) => user,
  'LOGGED IN BY': ({ provider }: Session) => provider ?? 'password',
  SINCE: ({ createdAt }: Session) => when(createdAt),
  'LAST USED': ({ lastUsedAt }: Session) => when(lastUsedAt),
  EXPIRES: ({ expiresAt }: Session) => when(expiresAt),
}
