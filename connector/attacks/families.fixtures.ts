import type { Family } from './attack.fixtures.ts'
import { chunks, goodChunks } from './chunks.fixtures.ts'
import { firstLines, goodHeads, heads } from './heads.fixtures.ts'
import { forgeries, named, otherWays, spoken } from './identity.fixtures.ts'
import { endings, lengths } from './lengths.fixtures.ts'
import { expectations, pipelines, upgrades } from './pipelines.fixtures.ts'
import { goodTargets, targets } from './targets.fixtures.ts'

/** Every attack of a caller's, by what it is about. */
export const families: Family[] = [
  ...[lengths, endings, chunks, goodChunks, heads, firstLines, goodHeads, pipelines, expectations],
  ...[named, spoken, otherWays, forgeries, upgrades, targets, goodTargets],
]
