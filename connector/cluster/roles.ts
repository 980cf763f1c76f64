/**
 * Keeps the cluster's bindings as Access wants them: one for each role in use and each namespace
 * it is used in. No revocation waits for it, because a user is impersonated only with the groups
 * of grants that stand. One binding that cannot be made never holds up another, and what is to go
 * goes first (security.md R4).
 */
import { Namespace, RoleName } from '../../src/wire/names.ts'
import type { log as writeLog } from '../../src/wire/log.ts'
import { backoff } from '../backoff.ts'
import {
  type Binding,
  bindingName,
  type ClusterApi,
  createBinding,
  deleteBinding,
  describe,
  isIntact,
  isRoleThere,
  listBindings,
  type RoleInUse,
} from './binding.ts'

export type Step =
  | { kind: 'delete'; binding: Binding }
  | { kind: 'replace'; binding: Binding; wanted: RoleInUse }
  | { kind: 'create'; wanted: RoleInUse }

/**
 * What bindings can be made for, and what not: a name that is reserved, or would leave its place in
 * a path, is refused here once more, although the server refuses it at the grant (security.md D6).
 */
export function sorted(inUse: RoleInUse[]): { usable: RoleInUse[]; unusable: RoleInUse[] } {
  return { usable: inUse.filter(isUsable), unusable: inUse.filter((role) => !isUsable(role)) }
}

/**
 * What must be done for the cluster to hold exactly what is wanted: removals first, then repairs,
 * then what is new. A role of a binding cannot be changed, so a repair is a removal and a creation.
 */
export function plan(destinationId: string, wanted: RoleInUse[], found: Binding[]): Step[] {
  const byPlace = new Map(found.map((binding) => [placeOf(binding), binding]))
  const wantedPlaces = new Map(wanted.map((role) => [placeFor(destinationId, role), role]))
  const removals = found
    .filter((binding) => !wantedPlaces.has(placeOf(binding)))
    .map((binding): Step => ({ kind: 'delete', binding }))
  const repairs: Step[] = []
  const creations: Step[] = []
  for (const [place, role] of wantedPlaces) {
    const binding = byPlace.get(place)
    if (!binding) creations.push({ kind: 'create', wanted: role })
    else if (!isIntact(binding, role)) repairs.push({ kind: 'replace', binding, wanted: role })
  }
  return [...removals, ...repairs, ...creations]
}

export type RolesOptions = {
  ask: ClusterApi
  /** What Access has in use, each once; null while there is none to go by. */
  current: () => { destinationId: string; inUse: RoleInUse[] } | null
  log: typeof writeLog
  /** What else is wrong in the cluster, a sentence each: looked at with the bindings. */
  alsoWrong?: () => Promise<string[]>
  /** Told what is wrong whenever that has changed; of nothing at first. */
  onProblems?: (problems: string[]) => void
  everyMs?: number
}

/** How long bindings that somebody touched are left, so that many touches are one run. */
const touchedMs = 500

/**
 * The keeping itself: one run at a time, at each change of Access, soon after somebody touched a
 * binding, and again every minute: also a namespace made anew gets its bindings by that.
 */
export class Roles {
  readonly #options: RolesOptions
  #isRunning = false
  #isDue = false
  #isClosed = false
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #touched: NodeJS.Timeout | undefined
  /** What the last run complained of, null before the first: a complaint is logged when it is new, not every minute. */
  #complaints: Set<string> | null = null

  constructor(options: RolesOptions) {
    this.#options = options
  }

  /** Access has changed. Returns at once: whoever enforces it must not wait for the cluster. */
  changed(): void {
    this.#isDue = true
    void this.#run()
  }

  /** Somebody, perhaps this connector, has changed a binding. */
  touched(): void {
    if (this.#touched || this.#isClosed) return
    this.#touched = setTimeout(() => {
      this.#touched = undefined
      this.changed()
    }, touchedMs)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#touched)
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#isClosed) return
    this.#isRunning = true
    clearTimeout(this.#timer)
    while (this.#isDue) {
      this.#isDue = false
      const { complaints, hasFailed } = await this.#reconcile()
      this.#failures = hasFailed ? this.#failures + 1 : 0
      if (complaints) this.#report(complaints)
    }
    this.#isRunning = false
    this.#arm()
  }

  #arm(): void {
    if (this.#isClosed) return
    const everyMs = this.#options.everyMs ?? 60_000
    const again = backoff(this.#failures, { firstMs: 1000, mostMs: everyMs })
    this.#timer = setTimeout(() => this.changed(), this.#failures === 0 ? everyMs : again)
  }

  /** One run; it never throws. A role that is missing is worth a word, but no reason to hurry. */
  async #reconcile(): Promise<{ complaints: string[] | null; hasFailed: boolean }> {
    const current = this.#options.current()
    // Who does not look knows of nothing that is well again.
    if (!current) return { complaints: null, hasFailed: false }
    const { usable, unusable } = sorted(current.inUse)
    const failures = await this.#apply(current.destinationId, usable)
    const unbound = unusable.map((role) => `no binding can be made for ${describe(role)}`)
    const others = await this.#othersWrong(usable)
    return { complaints: [...failures, ...unbound, ...others], hasFailed: failures.length > 0 }
  }

  async #othersWrong(usable: RoleInUse[]): Promise<string[]> {
    const { alsoWrong = async () => [] } = this.#options
    const others = await alsoWrong().catch((error: unknown) => [sentenceOf(error)])
    return [...(await this.#missing(usable)), ...others]
  }

  /** Takes each step apart from the others; gives what failed, a sentence each. */
  async #apply(id: string, usable: RoleInUse[]): Promise<string[]> {
    const { ask } = this.#options
    const failures: string[] = []
    try {
      for (const step of plan(id, usable, await listBindings(ask, id))) {
        await take(ask, id, step).catch((error: unknown) => failures.push(sentenceOf(error)))
      }
    } catch (error) {
      failures.push(sentenceOf(error))
    }
    return failures
  }

  async #missing(usable: RoleInUse[]): Promise<string[]> {
    const missing: string[] = []
    for (const role of new Set(usable.map((each) => each.role))) {
      const isThere = await isRoleThere(this.#options.ask, role).catch(() => true)
      if (!isThere) missing.push(`there is no cluster role ${role}`)
    }
    return missing
  }

  #report(complaints: string[]): void {
    const now = new Set(complaints)
    const before = this.#complaints
    const isNew = complaints.filter((complaint) => !before?.has(complaint))
    for (const complaint of isNew) {
      this.#options.log('warn', 'bindings are not as they should be', { complaint })
    }
    const hasChanged = isNew.length > 0 || now.size !== before?.size
    this.#complaints = now
    if (hasChanged) this.#options.onProblems?.([...now])
  }
}

async function take(ask: ClusterApi, id: string, step: Step): Promise<void> {
  if (step.kind !== 'create') await deleteBinding(ask, step.binding)
  if (step.kind !== 'delete') await createBinding(ask, id, step.wanted)
}

function isUsable({ role, namespace }: RoleInUse): boolean {
  if (!RoleName.safeParse(role).success) return false
  return namespace === null || Namespace.safeParse(namespace).success
}

function placeFor(destinationId: string, { role, namespace }: RoleInUse): string {
  return `${namespace ?? ''}/${bindingName(destinationId, role)}`
}

function placeOf({ metadata: { name, namespace } }: Binding): string {
  return `${namespace ?? ''}/${name}`
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
