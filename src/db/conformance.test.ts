import { freshDatabase } from '../../test/postgres.ts'
import { conformance } from './conformance.ts'
import { openPglite } from './pglite.ts'
import { openPostgres } from './postgres.ts'

conformance('PGlite', () => openPglite(null))

const url = process.env['INFRA_TEST_DATABASE_URL']
if (url) conformance('PostgreSQL', async () => openPostgres((await freshDatabase(url)).url))
