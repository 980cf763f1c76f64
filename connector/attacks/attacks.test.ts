import { test } from 'node:test'
import { families } from './families.fixtures.ts'
import { withstands } from './run.fixtures.ts'

for (const family of families) test(family.title, (t) => withstands(t, family))
