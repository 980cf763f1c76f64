import type { MyDestination } from '../../src/wire/destinations.ts'
import { command, format } from '../command.ts'
import { signedIn } from '../connect.ts'
import { refreshKubeconfig, report } from '../kubeconfig/refresh.ts'
import { showList, when } from '../terminal/table.ts'

type Listed = Pick<MyDestination, 'id' | 'name' | 'endpoint' | 'roles'> & { contexts: string[] }

export const list = command({
  summary: 'list your destinations and refresh the kubeconfig',
  arguments: { format },
  examples: ['infra list', 'infra list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client, server, id }) => {
      const destinations = await client.me.destinations()
      const written = await refreshKubeconfig(
        terminal.env,
        { server, session: id, destinations },
        { kind: 'keep' },
      )
      report(terminal, written)
      const contextsOf = (destination: string): string[] =>
        written.entries.find((entry) => entry.destination.id === destination)?.contexts ?? []
      const listed = destinations.map(({ id: own, name, endpoint, roles }) => {
        return { id: own, name, endpoint, roles, contexts: contextsOf(own) }
      })
      if (listed.length === 0)
        terminal.err('You have no access to any destination: an administrator grants it.')
      showList(
        terminal,
        values.format,
        values.format === 'json' ? listed : listed.flatMap(perRole),
        columns,
      )
    }),
})

const columns = {
  DESTINATION: ({ name }: Listed) => name,
  NAMESPACE: ({ roles }: Listed) => roles[0]?.namespace ?? '',
  ROLE: ({ roles }: Listed) => roles[0]?.role ?? '',
  UNTIL: ({ roles }: Listed) => when(roles[0]?.expiresAt ?? null),
  CONTEXT: ({ roles, contexts }: Listed) => {
    const namespace = roles[0]?.namespace ?? null
    return (
      (namespace === null
        ? contexts[0]
        : contexts.find((name) => name === `${contexts[0]}:${namespace}`)) ?? ''
    )
  },
}

/** A line for each role, so that each says where it holds and until when. */
function perRole(destination: Listed): Listed[] {
  return destination.roles.map((role) => ({ ...destination, roles: [role] }))
}
