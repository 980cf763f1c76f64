/**
 * The door: who may come in, and as whom.
 *
 * The token says who; Access says what. A request is refused before anything of it goes further
 * when it speaks of identity itself, brings anything but one good token, or nothing stands for its
 * user. Nothing is stripped in silence: whoever tries should learn that it does not work.
 */
import type { PublicKey } from '../../src/wire/access.ts'
import type { HeldAccess } from '../access.ts'
import type { Field, Head } from './http1.ts'
import { once } from './once.ts'
import { refuseSpokenIdentity } from './spoken.ts'
import type { NoLease, Standing } from '../standing.ts'
import { Refusal } from '../status.ts'
import { bad, keysOf, readToken, refuseUntimely, type Claims, type Keys } from './token.ts'

/** A request let in: the user, and the groups to be impersonated with. */
export type Admitted = Readonly<{
  userId: string
  sessionId: string
  email: string
  groups: readonly string[]
}>

const maxRemembered = 10_000

export class Door {
  readonly #access: HeldAccess
  readonly #most: number
  /** Tokens whose signature and claims were good, by their exact bytes. Oldest first. */
  readonly #verified = new Map<string, Claims>()
  #keys: Keys = new Map()
  /** What `#keys` and `#verified` were made for. */
  #trusted = ''
  /** The very list that `#trusted` was made from: beats renew Access without a new one. */
  #seen: PublicKey[] | null = null

  constructor({ access, most = maxRemembered }: { access: HeldAccess; most?: number }) {
    this.#access = access
    this.#most = most
  }

  /** How many tokens need not be verified again. */
  get remembered(): number {
    return this.#verified.size
  }

  /**
   * Admits the request that `head` begins. Access may change right after: whoever carries the
   * request on holds it as a stream, and then asks `admittedBy` once more.
   *
   * @throws {Refusal} 400, 401, 403 or 503, with a sentence for whoever reads kubectl's output.
   */
  async admit(head: Head): Promise<Admitted> {
    const { userId, sessionId } = this.#claims(tokenOf(head.fields))
    return admittedBy(this.#access, userId, sessionId)
  }

  /** Signatures are verified once for each token; time is looked at for each request. */
  #claims(token: string): Claims {
    const lapse = this.#access.lapse()
    if (lapse) throw refusalFor(lapse)
    this.#trustCurrentKeys()
    const claims = this.#verified.get(token) ?? this.#verify(token)
    refuseUntimely(claims, this.#access.now())
    return claims
  }

  #verify(token: string): Claims {
    const access = this.#access.current
    if (!access) throw bad('there is no Access to judge it by')
    const claims = readToken(token, this.#keys, access)
    const oldest = this.#verified.size >= this.#most ? this.#verified.keys().next() : null
    if (oldest && !oldest.done) this.#verified.delete(oldest.value)
    this.#verified.set(token, claims)
    return claims
  }

  /** A key that is trusted no longer takes with it every token that it has signed. */
  #trustCurrentKeys(): void {
    const access = this.#access.current
    if (!access || access.signingKeys === this.#seen) return
    const trusted = JSON.stringify([access.issuer, access.destination.id, access.signingKeys])
    if (trusted !== this.#trusted) {
      this.#verified.clear()
      // Where they are no keys this fails at every request, and nobody is let in by the old ones.
      this.#keys = keysOf(access.signingKeys)
      this.#trusted = trusted
    }
    this.#seen = access.signingKeys
  }
}

/** What Access says now of a user who has proved who they are. @throws {Refusal} */
export function admittedBy(access: HeldAccess, userId: string, sessionId: string): Admitted {
  const standing = access.standing(userId, sessionId)
  if (standing.kind !== 'stands') throw refusalFor(standing)
  const known = lastAdmitted.get(standing)
  if (known?.sessionId === sessionId) return known
  const { email, groups } = standing
  const admitted = { userId, sessionId, email, groups }
  lastAdmitted.set(standing, admitted)
  return admitted
}

/** Who was let in last by a standing: the same again is the same value, and its lines are known. */
const lastAdmitted = new WeakMap<Standing, Admitted>()

/** The token of headers that say nothing else of identity. @throws {Refusal} */
const tokenOf = once((fields: readonly Field[]) => {
  refuseSpokenIdentity(fields)
  return bearerOf(fields)
})

const bearerForm = /^Bearer ([A-Za-z0-9_.-]+)$/

function bearerOf(fields: readonly Field[]): string {
  const given = fields.filter(({ name }) => name === 'authorization')
  const [, token] = bearerForm.exec(given[0]?.value ?? '') ?? []
  if (given.length !== 1 || token === undefined) {
    throw new Refusal(401, 'one Authorization header with a Bearer token is needed')
  }
  return token
}

/**
 * 401 makes client-go run the credential plugin again, which is right for what a new login mends;
 * 403 and 503 are not mended by it.
 */
function refusalFor(standing: Exclude<Standing, { kind: 'stands' }>): Refusal {
  if (standing.kind === 'no-lease') return new Refusal(503, noLease(standing))
  if (standing.kind === 'ended') return new Refusal(401, 'the session has ended, log in again')
  // A user who is unknown here and one whose grants have gone are told the same.
  return new Refusal(403, 'no grant lets you into this cluster, ask an administrator for one')
}

function noLease({ since, why }: NoLease): string {
  const when = since === null ? '' : ` (since ${new Date(since).toISOString()})`
  return `nobody is let in: the connector of this cluster ${why}${when}`
}
