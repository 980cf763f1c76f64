/**
 * What a request asks of the API server, read from its first line for the record alone: nothing is
 * decided by it, because the API server is the one that decides.
 */
import type { Head } from '../door/http1.ts'

export type Asked = {
  /** The word that RBAC knows it by. */
  verb: string
  /** The path without its query: values there may be commands, which may hold secrets. */
  path: string
  /** `pods`, `pods/exec`; null where the path names none. */
  resource: string | null
  namespace: string | null
  name: string | null
  /** It stays open until somebody ends it: an upgrade, a watch, a log that is followed. */
  isLong: boolean
}

/** To these the API server sets no limit of its own: they end when whoever asked has enough. */
const unhurried = /\/(?:attach|exec|log|portforward|proxy)$/
const maxPath = 300
const none = new URLSearchParams()
/** `/api/v1/…` or `/apis/GROUP/VERSION/…`, a namespace, a resource, a name, a subresource. */
const form =
  /^\/(?:api|apis\/[^/]+)\/[^/]+\/(watch\/)?(?:namespaces\/([^/]+)\/(?!status$|finalize$))?([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?/

/**
 * @example
 * askedOf({ method: 'GET', target: '/api/v1/namespaces/web/pods/a/log?follow=true' }, null)
 * // { verb: 'get', resource: 'pods/log', namespace: 'web', name: 'a', isLong: true, path: … }
 */
export function askedOf(
  { method, target }: Pick<Head, 'method' | 'target'>,
  upgrade: string | null,
): Asked {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const [, old, namespace = null, kind = null, name = null, sub = null] =
    form.exec(unescaped(path)) ?? []
  const parameters = ofLong.test(target) ? new URLSearchParams(target.slice(path.length + 1)) : none
  const isOldWatch = old !== undefined
  const watches = isOldWatch || isSet(parameters, 'watch')
  const verb = isOldWatch ? 'watch' : verbOf(method, { hasName: name !== null, watches })
  return {
    verb,
    path: path.slice(0, maxPath),
    resource: sub === null ? kind : `${kind}/${sub}`,
    namespace,
    name,
    isLong: upgrade !== null || watches || isSet(parameters, 'follow'),
  }
}

/** Most targets hold neither of the two words that make a request long, however they may be escaped. */
const ofLong = /watch|follow|%/

/** `askedOf(…).isLong`, which most targets answer at a glance. */
export function isLong(head: Pick<Head, 'target' | 'method'>, upgrade: string | null): boolean {
  return upgrade !== null || (ofLong.test(head.target) && askedOf(head, upgrade).isLong)
}

/** Whether its answer may be long in coming, or never begin, with nothing being wrong. */
export function mayTakeLong({ isLong, resource }: Asked): boolean {
  return isLong || (resource !== null && unhurried.test(resource))
}

/** The API server reads names unescaped, and so they are told. */
function unescaped(path: string): string {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** As the API server reads a boolean: the first of them counts, and all but two words are true. */
function isSet(parameters: URLSearchParams, name: string): boolean {
  const value = parameters.get(name)
  return value !== null && value !== '0' && value.toLowerCase() !== 'false'
}

const verbs: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch' }

function verbOf(method: string, { hasName, watches }: { hasName: boolean; watches: boolean }) {
  if (method === 'DELETE') return hasName ? 'delete' : 'deletecollection'
  if (method !== 'GET' && method !== 'HEAD') return verbs[method] ?? method.toLowerCase()
  if (hasName) return 'get'
  return watches ? 'watch' : 'list'
}
