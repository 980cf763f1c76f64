/**
 * Deliberate breaks of the product. A test that cannot fail is a defect; these are the breaks by
 * which the tests of what guards access have shown that they can. `npm run test:mutants` repeats
 * them, one at a time, in a copy of the tree.
 */
export type Mutant = {
  /** The line of docs/security.md that falls, and the break, as a sentence: `D7: aud is …`. */
  name: string
  file: string
  /** Stands exactly once in `file`. */
  old: string
  new: string
  /** The smallest test files that notice: each of them must go red. */
  tests: string[]
  /** The tests run what is built, so it is built anew. */
  build?: true
  /** A test notices by waiting for what never comes. Elsewhere that is no verdict. */
  hangs?: true
}

type Break = Omit<Mutant, 'file' | 'tests'> & { tests?: string[] }

/** Breaks of one file, which the same test notices unless a row names others. */
export function breaksOf(file: string, test: string, rows: Break[]): Mutant[] {
  return rows.map((row) => ({ tests: [test], ...row, file }))
}
