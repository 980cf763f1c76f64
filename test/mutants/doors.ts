/** The server’s own door. */
import type { Mutant } from './mutant.ts'

export const ofDoors: Mutant[] = [
  {
    name: 'S3: a number may be spelled in other ways',
    file: 'src/wire/shared.ts',
    old: `/^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN`,
    new: `Number(text)`,
    tests: ['src/app.bodies.test.ts'],
  },
  {
    name: 'S3: bytes that are no UTF-8 are read as something else',
    file: 'src/input.ts',
    old: `fatal: true`,
    new: `fatal: false`,
    tests: ['src/app.bodies.test.ts'],
  },
  {
    name: 'S3: a body may be as deep as it likes',
    file: 'src/input.ts',
    old: `  if (depth > maxDepth) return false\n`,
    new: ``,
    tests: ['src/app.bodies.test.ts'],
  },
  {
    name: 'L11: one connector’s key makes the server forget others’ receipts',
    file: 'src/hub/receipts.ts',
    old: `const here = this.#known.get(destinationId) ??`,
    new: `const here = [...this.#known.values()][0] ??`,
    tests: ['src/hub/receipts.test.ts'],
  },
  {
    name: 'L8: a provider behind an IPv6 tunnel is public',
    file: 'src/login/addresses.ts',
    old: ` || tunnels.check(plain, 'ipv6')`,
    new: ``,
    tests: ['src/login/addresses.test.ts'],
  },
  {
    name: 'L7: each spelling of an account has guesses of its own',
    file: 'src/login/guesses.ts',
    old: `account.toLowerCase()`,
    new: `account`,
    tests: ['src/login/guesses.test.ts'],
  },
]
