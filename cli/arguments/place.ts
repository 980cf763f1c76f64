/** A destination as people type it, with or without one of its namespaces. */
import { DestinationName, Id, Namespace } from '../../src/wire/names.ts'
import { Misuse } from '../hint.ts'

export type Place = { destination: string; namespace: string | null }

/**
 * Neither part may hold a dot, so the first dot parts them.
 *
 * @example
 * placeFrom('prod.web') // { destination: 'prod', namespace: 'web' }
 */
export function placeFrom(text: string): Place {
  const dot = text.indexOf('.')
  const destination = dot === -1 ? text : text.slice(0, dot)
  const namespace = dot === -1 ? null : text.slice(dot + 1)
  const isNamed =
    DestinationName.safeParse(destination).success || Id.safeParse(destination).success
  if (isNamed && (namespace === null || Namespace.safeParse(namespace).success))
    return { destination, namespace }
  throw new Misuse(`"${text}" is not DESTINATION or DESTINATION.NAMESPACE`)
}
