import type { Group } from '../../src/wire/groups.ts'
import { command, format, noun } from '../command.ts'
import { signedIn } from '../connect.ts'
import { changeAndWait, wait } from '../receipt.ts'
import { showList, showOne } from '../terminal/table.ts'

const name = { type: 'positional', description: 'name of the group' } as const
const membership = {
  group: { type: 'positional', description: 'name of the group' },
  email: { type: 'positional', description: 'e-mail of the user' },
} as const

const add = command({
  summary: 'add a group',
  arguments: { name, format },
  examples: ['infra groups add ops'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showOne(terminal, values.format, await client.groups.create({ name: values.name }), columns),
    ),
})

const remove = command({
  summary: 'remove a group, with its grants',
  arguments: { name, wait, format },
  examples: ['infra groups remove ops', 'infra groups remove ops --wait'],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `Removed ${values.name}.`,
      change: (client) => client.groups.delete(values.name),
    }),
})

const list = command({
  summary: 'list groups and their members',
  arguments: { format },
  examples: ['infra groups list', 'infra groups list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showList(terminal, values.format, await client.groups.list(), columns),
    ),
})

const addUser = command({
  summary: 'add a user to a group',
  arguments: { ...membership, wait, format },
  examples: ['infra groups add-user ops ana@example.com'],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `${values.email} is in ${values.group}.`,
      change: (client) => client.groups.addUser(values.group, values.email),
    }),
})

const removeUser = command({
  summary: 'remove a user from a group; what is open because of it is cut at once',
  arguments: { ...membership, wait, format },
  examples: [
    'infra groups remove-user ops ana@example.com',
    'infra groups remove-user ops ana@example.com --wait',
  ],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `${values.email} is no longer in ${values.group}.`,
      change: (client) => client.groups.removeUser(values.group, values.email),
    }),
})

export const groups = noun('administer groups and their members', {
  add,
  remove,
  list,
  'add-user': addUser,
  'remove-user': removeUser,
})

const columns = {
  NAME: ({ name: shown }: Group) => shown,
  'FOLLOWED FROM': ({ provider }: Group) => provider ?? '',
  MEMBERS: ({ members }: Group) => members.join(', '),
  ID: ({ id }: Group) => id,
}
