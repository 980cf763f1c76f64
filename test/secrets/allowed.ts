/** The few places in which a credential of a kind belongs. Everything else is a finding. */
import type { Kind, Place } from './record.ts'

export type Allowed = { kinds: Kind[]; place: Place; where?: RegExp; why: string }

export const allowed: Allowed[] = [
  {
    kinds: ['password'],
    place: 'CLI out',
    where: /\busers (add|edit)\b/,
    why: 'a one-time password is shown this once: there is no other way to its owner',
  },
  {
    kinds: ['access key'],
    place: 'CLI out',
    where: /\b(keys|destinations) add\b/,
    why: 'an access key is shown this once: only its hash is kept',
  },
  {
    kinds: ['token'],
    place: 'CLI out',
    where: /\btokens create\b/,
    why: 'kubectl reads it there (client-go credential plugins), by a pipe',
  },
  {
    kinds: ['token'],
    place: 'kubectl out',
    where: /\bcreate token\b/,
    why: "it is the cluster's own, and what was asked for",
  },
  {
    kinds: ['cluster token'],
    place: 'kubeconfig',
    why: "what a kubeconfig held before is its owner's, and stays (security.md K1); ours are elsewhere",
  },
  {
    kinds: ['state', 'nonce'],
    place: 'provider URL',
    why: 'OpenID Connect sends them by the browser (Core section 3.1.2.1)',
  },
  {
    kinds: ['code', 'state'],
    place: 'loopback URL',
    why: 'the code comes back by the browser (RFC 8252); it is worth nothing without two verifiers',
  },
  {
    kinds: ['state', 'nonce'],
    place: 'CLI err',
    where: /\blogin\b/,
    why: 'the page to log in at is printed for whoever has no browser here',
  },
  {
    kinds: ['state', 'nonce'],
    place: 'argv',
    where: /browser/,
    why: 'a browser takes the page to open as an argument; the verifiers are not in it',
  },
]

/** Why it may stand there; null: it is a finding. */
export function whyAllowed(kind: Kind, place: Place, where: string): string | null {
  const found = allowed.find(
    (one) => one.kinds.includes(kind) && one.place === place && (one.where?.test(where) ?? true),
  )
  return found?.why ?? null
}
