/** Takes away from a case what it does not need in order to show the same. */
import { judgeAll } from './batch.ts'
import type { Case } from './cases/case.ts'
import type { Oracle } from './oracle.ts'

const mostTries = 600

export async function shrunk(one: Case, wrong: string[], oracle: Oracle): Promise<Case> {
  const tried = { times: 0 }
  const shows = async (smaller: Case): Promise<boolean> => {
    tried.times += 1
    const [judged] = await judgeAll([smaller], oracle)
    return judged?.wrong.join() === wrong.join()
  }
  let best = one
  // Pieces first: that the bytes came apart is part of what is shown only if it must be.
  const part = one.hostile === 'caller' ? 'sent' : 'answered'
  const together = { ...one, [part]: [one[part].join('')] }
  if (await shows(together)) best = together
  for (let size = 256; size >= 1; size = size >> 1) {
    for (let at = 0; at < best[part].join('').length;) {
      if (tried.times >= mostTries) return best
      const smaller = { ...best, [part]: without(best[part], at, size) }
      if (await shows(smaller)) best = smaller
      else at += size
    }
  }
  return best
}

/** The pieces without `size` characters from `at` on. */
function without(pieces: string[], at: number, size: number): string[] {
  let before = 0
  return pieces.flatMap((piece) => {
    const from = Math.max(0, at - before)
    const to = Math.max(0, at + size - before)
    before += piece.length
    const left = piece.slice(0, from) + piece.slice(to)
    return left === '' ? [] : [left]
  })
}
