import type { MyDestination } from '../../src/wire/destinations.ts'
import { Failure } from '../../src/wire/failure.ts'
import { command } from '../command.ts'
import { signedIn } from '../connect.ts'
import { hinted } from '../hint.ts'
import { refreshKubeconfig, report } from '../kubeconfig/refresh.ts'
import { type Place, placeFrom } from '../arguments/place.ts'

export const use = command({
  summary: 'make a destination the current context of kubectl',
  arguments: {
    destination: {
      type: 'positional',
      valueHint: 'DESTINATION[.NAMESPACE]',
      description: 'the destination, and a namespace of it',
    },
  },
  examples: ['infra use prod', 'infra use prod.web'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client, server, id }) => {
      const { destination, namespace } = placeFrom(values.destination)
      const destinations = await client.me.destinations()
      const found = reached(destinations, { destination, namespace })
      const picked = { kind: 'use', destination, namespace } as const
      const written = await refreshKubeconfig(
        terminal.env,
        { server, session: id, destinations },
        picked,
      )
      report(terminal, written)
      if (!written.entries.some((entry) => entry.destination.id === found.id)) {
        throw new Failure('unavailable', `${destination} is not in the kubeconfig`)
      }
      const where =
        namespace === null || written.current.endsWith(`:${namespace}`)
          ? ''
          : `, namespace ${namespace}`
      terminal.err(`kubectl now uses ${written.current}${where}.`)
    }),
})

/** The destination that is meant. A role in the whole cluster holds in each of its namespaces. */
function reached(destinations: MyDestination[], { destination, namespace }: Place): MyDestination {
  const found = destinations.find(({ name }) => name === destination)
  const roles = found?.roles.filter(
    (role) => role.namespace === null || role.namespace === namespace,
  )
  if (found && (namespace === null || roles?.length !== 0)) return found
  const what = found
    ? `you have no grant for the namespace "${namespace}" of ${destination}`
    : `you have no access to a destination "${destination}"`
  throw hinted(new Failure('not_found', what), 'infra list')
}
