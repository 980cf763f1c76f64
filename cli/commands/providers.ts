import type { Provider, ProviderEdit } from '../../src/wire/providers.ts'
import { command, format, noun } from '../command.ts'
import { signedIn } from '../connect.ts'
import { Misuse } from '../hint.ts'
import { clientSecret, ruleFlags, rulesFrom, secretFlag } from '../arguments/provider-rules.ts'
import { changeAndWait, wait } from '../receipt.ts'
import { showList, showOne } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'

const name = { type: 'positional', description: 'name of the provider, a DNS label' } as const
const environment = { INFRA_CLIENT_SECRET: 'the client secret' }

const add = command({
  summary: 'add an OIDC provider',
  detail:
    'Register the redirect URIs http://127.0.0.1:8000/callback/NAME and http://127.0.0.1:18000/callback/NAME\nat the provider, unless it allows any port of the loopback address.',
  arguments: {
    name,
    issuer: {
      type: 'string',
      required: true,
      valueHint: 'URL',
      description: 'the issuer, exactly as its tokens say it',
    },
    'client-id': {
      type: 'string',
      required: true,
      valueHint: 'ID',
      description: 'the client id at the provider',
    },
    ...secretFlag,
    ...ruleFlags,
    format,
  },
  environment,
  examples: [
    'infra providers add okta --issuer https://example.okta.com --client-id 0oa1 --client-secret-file secret.txt',
    'infra providers add google --issuer https://accounts.google.com --client-id 123 --allowed-domains example.com',
  ],
  async run(terminal, values) {
    const rules = rulesFrom(values)
    const secret = await clientSecret(terminal, values['client-secret-file'])
    await signedIn(terminal, async ({ client }) => {
      const provider = await client.providers.create({
        name: values.name,
        issuer: values.issuer,
        clientId: values['client-id'],
        ...(secret === undefined ? {} : { clientSecret: secret }),
        ...rules,
      })
      showOne(terminal, values.format, provider, columns)
    })
  },
})

const edit = command({
  summary: 'change a provider',
  detail: 'Rules that are not named stay as they are. The issuer of a provider never changes.',
  arguments: {
    name,
    'client-id': { type: 'string', valueHint: 'ID', description: 'the client id at the provider' },
    'client-secret-file': {
      type: 'string',
      valueHint: 'FILE',
      description: 'file with a new client secret; without one: INFRA_CLIENT_SECRET',
    },
    ...ruleFlags,
    format,
  },
  environment,
  examples: [
    'infra providers edit okta --allowed-domains example.com,example.org',
    'infra providers edit okta --client-secret-file new.txt',
  ],
  async run(terminal, values) {
    const secret = await clientSecret(
      { ...terminal, isInteractive: false },
      values['client-secret-file'],
    )
    const clientId = values['client-id']
    const changes = {
      ...rulesFrom(values),
      ...(clientId === undefined ? {} : { clientId }),
      ...(secret === undefined ? {} : { clientSecret: secret }),
    }
    if (Object.keys(changes).length === 0) throw new Misuse('there is nothing to change')
    const provider = await update(terminal, { provider: values.name, ...changes })
    showOne(terminal, values.format, provider, columns)
  },
})

const disable = command({
  summary: 'disable a provider: nobody logs in through it, and who did is out',
  arguments: { name, wait, format },
  examples: ['infra providers disable okta'],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `Disabled ${values.name}.`,
      change: (client) => client.providers.update({ provider: values.name, disabled: true }),
    }),
})

const enable = command({
  summary: 'enable a disabled provider',
  arguments: { name },
  examples: ['infra providers enable okta'],
  async run(terminal, values) {
    await update(terminal, { provider: values.name, disabled: false })
    terminal.err(`Enabled ${values.name}.`)
  },
})

const remove = command({
  summary: 'remove a provider, with the groups that follow it',
  arguments: { name, wait, format },
  examples: ['infra providers remove okta', 'infra providers remove okta --wait'],
  run: (terminal, values) =>
    changeAndWait(terminal, {
      values,
      done: `Removed ${values.name}.`,
      change: (client) => client.providers.delete(values.name),
    }),
})

const list = command({
  summary: 'list providers',
  arguments: { format },
  examples: ['infra providers list', 'infra providers list --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client }) =>
      showList(terminal, values.format, await client.providers.list(), columns),
    ),
})

export const providers = noun('administer OIDC providers', {
  add,
  edit,
  disable,
  enable,
  remove,
  list,
})

const columns = {
  NAME: ({ name: shown }: Provider) => shown,
  ISSUER: ({ issuer }: Provider) => issuer,
  'CLIENT ID': ({ clientId }: Provider) => clientId,
  SECRET: ({ hasClientSecret }: Provider) => (hasClientSecret ? 'yes' : 'no'),
  STATE: ({ disabled }: Provider) => (disabled ? 'disabled' : 'enabled'),
  DOMAINS: ({ allowedDomains }: Provider) => allowedDomains.join(', ') || 'all',
}

function update(terminal: Terminal, changes: ProviderEdit): Promise<Provider> {
  return signedIn(terminal, ({ client }) => client.providers.update(changes))
}
