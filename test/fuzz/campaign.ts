/** Case after case of one seed, until something is found or there have been enough. */
import { answerCase } from './cases/answers.ts'
import { judgeAll, type Judged } from './batch.ts'
import type { Case } from './cases/case.ts'
import type { Oracle } from './oracle.ts'
import { Random } from './cases/random.ts'
import { requestCase } from './cases/requests.ts'
import type { Tally } from './tally.ts'

const sideBySide = 64

/** The case of this number: the same whenever and wherever it is made. */
export function caseOf(seed: number, number: number): Case {
  const random = new Random(seed, number)
  return random.once(3) ? answerCase(random) : requestCase(random)
}

export type Campaign = {
  seed: number
  /** The number of the first case. */
  from: number
  /** How many more there may be, asked before each batch. */
  more: (played: number) => number
}

export type Found = Judged & { seed: number; number: number }

/** The first case that showed something wrong, or null. */
export async function campaign(
  { seed, from, more }: Campaign,
  oracle: Oracle,
  tally: Tally,
): Promise<Found | null> {
  for (let played = 0; ;) {
    const count = Math.min(sideBySide, more(played))
    if (count <= 0) return null
    const first = from + played
    const cases = Array.from({ length: count }, (_, at) => caseOf(seed, first + at))
    const judged = await judgeAll(cases, oracle)
    for (const one of judged) tally.count(one)
    const at = judged.findIndex(({ wrong }) => wrong.length > 0)
    const found = judged[at]
    if (found) return { ...found, seed, number: first + at }
    played += count
  }
}
