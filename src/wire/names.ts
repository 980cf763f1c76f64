/**
 * What may be a name. Names become HTTP headers in the connector and subjects of RBAC in the
 * cluster, so what every parser between here and there does not read alike is refused where it
 * enters, and again where it leaves (`connector/door/impersonate.ts`).
 */
import { z } from 'zod'

/** Visible ASCII and inner spaces: what every parser between here and RBAC reads alike. */
export const fitsHeader = /^[!-~]([ -~]*[!-~])?$/

/** Kubernetes gives names beginning with `system:` powers of their own: nobody may bear one. */
export function isReserved(name: string): boolean {
  return name.toLowerCase().startsWith('system:')
}

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const notReserved = 'names that begin with "system:" are reserved'

/** Things are found by name or by id, so no name may pass for the id of another thing. */
const notAnId = 'must not look like an id (24 hexadecimal digits)'
function looksLikeId(name: string): boolean {
  return /^[0-9a-f]{24}$/.test(name)
}

/** A user's name: an e-mail address, kept in lower case so that it names one person only. */
export const Email = z
  .string()
  .max(254)
  .regex(/^[!-?A-~]+@[!-?A-~]+$/, 'must be an e-mail address in visible ASCII')
  .refine((name) => !isReserved(name), notReserved)
  .transform((name) => name.toLowerCase())

/** A group's name. `/` is kept for groups followed from a provider (`PROVIDER/NAME`). */
export const GroupName = z
  .string()
  .max(254)
  .regex(fitsHeader, 'must be visible ASCII and inner spaces')
  .refine((name) => !isReserved(name), notReserved)

/** A group made here, which can never be mistaken for one that is followed from a provider. */
export const LocalGroupName = GroupName.refine(
  (name) => !name.includes('/'),
  'must not contain "/": such names are groups followed from a provider',
).refine((name) => !looksLikeId(name), notAnId)

const label = (what: string) =>
  z
    .string()
    .regex(dnsLabel, `${what} must be a DNS label: at most 63 of a-z, 0-9 and inner hyphens`)

export const ProviderName = label('a provider name').refine((name) => !looksLikeId(name), notAnId)
export const DestinationName = label('a destination name').refine(
  (name) => !looksLikeId(name),
  notAnId,
)
export const Namespace = label('a namespace')
export const KeyName = z
  .string()
  .max(100)
  .regex(fitsHeader, 'must be visible ASCII and inner spaces')
  .refine((name) => !looksLikeId(name), notAnId)

/** The name of a ClusterRole: a path segment, as Kubernetes has it, and nothing reserved. */
export const RoleName = z
  .string()
  .max(253)
  .regex(/^[!-~]+$/, 'must be visible ASCII without spaces')
  .refine((name) => !/[/%]/.test(name) && name !== '.' && name !== '..', 'must be a path segment')
  .refine((name) => !isReserved(name), notReserved)

/** An id: made by us, opaque to everybody else, safe in a path, a file name and a DNS label. */
export const Id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be an id')

/**
 * The name on a connector's serving certificate: made of the destination's id, so that a restart,
 * a second replica or a new address breaks no kubeconfig, and a name used again inherits nothing.
 */
export function tlsServerName(destinationId: string): string {
  return `${destinationId}.destination.infra`
}

/**
 * What a terminal obeys or does not show, made visible, for whatever prints a name that came from
 * elsewhere: control characters, line ends, and those that turn text around or hide in it. Each unit
 * of UTF-16 by itself: so written, it is the same text where it stands in JSON.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (units) =>
    units
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

/** The last: tags (U+E0000 to U+E0FFF), which spell words that nobody sees. */
const unprintable =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/g
