import type { Client } from '../../src/wire/client.ts'
import { Failure } from '../../src/wire/failure.ts'
import { command } from '../command.ts'
import { signedIn } from '../connect.ts'
import { currentPassword, newPassword } from '../login/password.ts'

export const password = command({
  summary: 'change your password',
  detail:
    'Asks for the old and the new one. Passwords come by terminal or environment, never as an argument.',
  arguments: {},
  environment: { INFRA_PASSWORD: 'the old password', INFRA_NEW_PASSWORD: 'the new password' },
  examples: ['infra password', 'INFRA_PASSWORD=... INFRA_NEW_PASSWORD=... infra password'],
  run: (terminal) =>
    signedIn(terminal, async ({ client }) => {
      const oldPassword = await currentPassword(terminal, 'Old password: ')
      const chosen = { oldPassword, newPassword: await newPassword(terminal) }
      await client.me.changePassword(chosen).catch((error) => explain(error, client))
      terminal.err('Your password is changed.')
    }),
})

/** A wrong old password is no ended session, though both may be refused with the same code. */
async function explain(error: unknown, client: Client): Promise<never> {
  if (!(error instanceof Failure) || error.code !== 'unauthenticated') throw error
  await client.me.get()
  throw new Failure('forbidden', error.message, { cause: error })
}
