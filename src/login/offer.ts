import { asc, isNull } from 'drizzle-orm'
import type { Call } from '../call.ts'
import { providers } from '../db/schema.ts'
import type { LoginOffer } from '../wire/login.ts'

/** What a stranger may log in with. */
export async function loginOffer({ db }: Call): Promise<LoginOffer> {
  const rows = await db
    .select()
    .from(providers)
    .where(isNull(providers.disabledAt))
    .orderBy(asc(providers.name))
  return {
    password: true,
    providers: rows.map(({ name, issuer, loopbackHost, anyLoopbackPort }) => {
      return { name, issuer, loopbackHost, anyLoopbackPort }
    }),
  }
}
