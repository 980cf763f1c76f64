import type { User } from '../../src/wire/users.ts'
import { command, format, noun } from '../command.ts'
import { signedIn } from '../connect.ts'
import { Misuse } from '../hint.ts'
import { changeAndWait, wait } from '../receipt.ts'
import { showList, showOne, when, yesNo } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'

const email = { type: 'positional', description: 'e-mail of the user' } as const

const add = command({
  summary: 'add a user',
  detail: 'Prints a one-time password once; it must be changed at the first login.',
  arguments: {
    email,
    admin: { type: 'boolean', description: 'the user administers this system' },
    format,
  },
  examples: [
    'infra users add ana@example.com',
    'infra users add root@example.com --admin --format json',
  ],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) => {
      const user = await client.users.create({ email: values.email, admin: values.admin ?? false })
      showOne(terminal, values.format, user, withPassword)
    }),
})

const edit = command({
  summary: 'change a user',
  arguments: {
    email,
    admin: {
      type: 'boolean',
      description: 'the user administers this system',
      negatable: 'and does so no longer',
    },
    'reset-password': { type: 'boolean', description: 'make a new one-time password' },
    format,
  },
  examples: [
    'infra users edit ana@example.com --admin',
    'infra users edit ana@example.com --reset-password',
  ],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) => {
      const { admin, 'reset-password': resetPassword } = values
      if (admin === undefined && resetPassword === undefined)
        throw new Misuse('there is nothing to change')
      const user = await client.users.update({ user: values.email, admin, resetPassword })
      if (values.format === 'json') showOne(terminal, 'json', user, columns)
      else if (user.password !== null)
        showOne(terminal, 'table', { ...user, password: user.password }, withPassword)
      else showOne(terminal, 'table', user, columns)
    }),
})

const disable = command({
  summary: 'disable a user: every session ends, every stream is cut',
  arguments: { email, wait, format },
  examples: ['infra users disable ana@example.com', 'infra users disable ana@example.com --wait'],
  run: (terminal, values) => setDisabled(terminal, values, 'yes'),
})

const enable = command({
  summary: 'enable a disabled user',
  arguments: { email, wait, format },
  examples: ['infra users enable ana@example.com'],
  run: (terminal, values) => setDisabled(terminal, values, 'no'),
})

const remove = command({
  summary: 'remove a user, with grants, keys and sessions',
  arguments: { email, wait, format },
  examples: ['infra users remove ana@example.com', 'infra users remove ana@example.com --wait=1m'],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `Removed ${values.email}.`,
      change: (client) => client.users.delete(values.email),
    }),
})

const list = command({
  summary: 'list users',
  arguments: { format },
  examples: ['infra users list', 'infra users list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showList(terminal, values.format, await client.users.list(), columns),
    ),
})

export const users = noun('administer users', { add, edit, disable, enable, remove, list })

const columns = {
  EMAIL: ({ email: name }: User) => name,
  ADMIN: ({ admin }: User) => yesNo(admin),
  STATE: ({ disabled }: User) => (disabled ? 'disabled' : 'enabled'),
  GROUPS: ({ groups }: User) => groups.join(', '),
  'LAST LOGIN': ({ lastLoginAt }: User) => when(lastLoginAt),
  ID: ({ id }: User) => id,
}

const withPassword = {
  EMAIL: ({ email: name }: User) => name,
  'ONE-TIME PASSWORD': ({ password }: User & { password: string }) => password,
}

function setDisabled(
  terminal: Terminal,
  values: { email: string; wait: string | undefined; format: string },
  disabled: 'yes' | 'no',
): Promise<number> {
  return changeAndWait(terminal, {
    values,
    done: `${disabled === 'yes' ? 'Disabled' : 'Enabled'} ${values.email}.`,
    change: (client) => client.users.update({ user: values.email, disabled: disabled === 'yes' }),
  })
}
