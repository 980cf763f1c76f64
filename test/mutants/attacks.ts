/** What the tables of `connector/attacks/` are sensitive to. */
import type { Mutant } from './mutant.ts'

export const ofAttacks: Mutant[] = [
  {
    name: 'D7: the cache of tokens grows without end',
    file: 'connector/door/door.ts',
    old: `size >= this.#most`,
    new: `size >= Infinity`,
    tests: ['connector/attacks/tokens.test.ts'],
  },
  {
    name: 'D7: claims may be respelled',
    file: 'connector/door/token.ts',
    old: `!Buffer.from(JSON.stringify(claims)).equals(bytes)`,
    new: `bytes.length === 0`,
    tests: ['connector/attacks/tokens.test.ts'],
  },
  {
    name: 'D7: claims that we never write are overlooked',
    file: 'connector/door/token.ts',
    old: `z.strictObject({`,
    new: `z.object({`,
    tests: ['connector/attacks/tokens.test.ts'],
  },
  {
    name: 'D8: a 101 may name two protocols',
    file: 'connector/splice/exchange.ts',
    old: `isAsked && more.length === 0`,
    new: `isAsked`,
    tests: ['connector/attacks/answers.test.ts'],
    hangs: true,
  },
  {
    name: 'D11: interim answers may go on for ever',
    file: 'connector/splice/exchange.ts',
    old: `maxInterim = 16`,
    new: `maxInterim = 160`,
    tests: ['connector/attacks/answers.test.ts'],
    hangs: true,
  },
  {
    name: 'D10: a header that overrides the method is passed on',
    file: 'connector/splice/rewrite.ts',
    old: `'user-agent',`,
    new: `'user-agent',\n  'x-http-method-override',`,
    tests: ['connector/attacks/attacks.test.ts'],
  },
  {
    name: 'D10: a watch of another spelling is no watch in the record',
    file: 'connector/splice/asked.ts',
    old: `value !== '0' &&`,
    new: `value === '1' &&`,
    tests: ['connector/splice/asked.test.ts'],
  },
]
