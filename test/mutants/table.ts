/** Every mutant there is: a table for each room. */
import { ofTheCli } from './cli.ts'
import { ofAttacks } from './attacks.ts'
import { ofDeltas } from './deltas.ts'
import { ofDoors } from './doors.ts'
import { ofHosts } from './hosts.ts'
import { ofLimits } from './limits.ts'
import { ofTheDoor } from './door.ts'
import { ofJourneys } from './journeys.ts'
import { ofWhatIsKnown } from './knowledge.ts'
import { ofTheLink } from './link.ts'
import { ofTheLogin } from './login.ts'
import { ofTheModel } from './model.ts'
import type { Mutant } from './mutant.ts'
import { ofTheReader } from './reader.ts'
import { ofTheServer } from './server.ts'
import { ofTheSplice } from './splice.ts'

export const mutants: Mutant[] = [
  ...[...ofTheReader, ...ofTheDoor, ...ofTheSplice, ...ofAttacks, ...ofLimits],
  ...[
    ...ofWhatIsKnown,
    ...ofTheLink,
    ...ofDeltas,
    ...ofTheServer,
    ...ofDoors,
    ...ofTheLogin,
    ...ofTheCli,
    ...ofHosts,
    ...ofJourneys,
    ...ofTheModel,
  ],
]
