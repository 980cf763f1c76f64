/** Logging in with e-mail and password; and what a one-time password asks for. */
import type { Client } from '../../src/wire/client.ts'
import { Failure } from '../../src/wire/failure.ts'
import type { StartedSession } from '../../src/wire/login.ts'
import { hinted, Misuse } from '../hint.ts'
import type { Terminal } from '../terminal/terminal.ts'

export async function loginWithPassword(
  terminal: Terminal,
  client: Client,
  user: string | undefined,
): Promise<StartedSession> {
  const email = user ?? (await asked(terminal, 'E-mail: ', '--user or INFRA_USER'))
  const password = await currentPassword(terminal, `Password of ${email}: `)
  try {
    return await client.login.password({ email, password })
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'conflict') throw error
    terminal.err('This is a one-time password: choose one of your own.')
    return client.login.password({ email, password, newPassword: await newPassword(terminal) })
  }
}

/** From the environment, else from the person, who is never asked where there is none. */
export async function currentPassword(terminal: Terminal, question: string): Promise<string> {
  const { INFRA_PASSWORD: given } = terminal.env
  if (given) return given
  if (terminal.isInteractive) return terminal.askSecret(question)
  throw hinted(
    new Misuse('a password is needed, and nobody is here to be asked'),
    'set INFRA_PASSWORD',
  )
}

/** @throws {Failure} `invalid` when the two that were typed differ. */
export async function newPassword(terminal: Terminal): Promise<string> {
  const { INFRA_NEW_PASSWORD: given } = terminal.env
  if (given) return given
  if (!terminal.isInteractive) {
    throw hinted(
      new Failure('conflict', 'a new password must be chosen, and nobody is here to be asked'),
      'set INFRA_NEW_PASSWORD',
    )
  }
  const first = await terminal.askSecret('New password: ')
  if (first === (await terminal.askSecret('New password again: '))) return first
  throw new Failure('invalid', 'the two new passwords differ')
}

async function asked(terminal: Terminal, question: string, otherwise: string): Promise<string> {
  if (terminal.isInteractive) return terminal.ask(question)
  throw hinted(
    new Misuse('an e-mail is needed, and nobody is here to be asked'),
    `give ${otherwise}`,
  )
}
