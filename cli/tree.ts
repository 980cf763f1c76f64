/** Every command there is. Each is loaded when it is called: kubectl waits for `tokens create`. */
import type { Command, Noun } from './command.ts'
import type { Entry } from './help.ts'
import type { Environment } from './disk/places.ts'

type Branch = Entry & { load: () => Promise<Command | Noun> }
/** A process of its own in the same executable, which reads its own arguments. */
type Program = Entry & { main: (argv: string[], env: Environment) => Promise<number> }

// prettier-ignore
export const tree: Record<string, Branch> = {
  login:        { summary: 'log in to a server', load: async () => (await import('./commands/login.ts')).login },
  logout:       { summary: 'end the session with a server', load: async () => (await import('./commands/logout.ts')).logout },
  list:         { summary: 'list your destinations and refresh the kubeconfig', load: async () => (await import('./commands/list.ts')).list },
  use:          { summary: 'make a destination the current context of kubectl', load: async () => (await import('./commands/use.ts')).use },
  info:         { summary: 'show who you are and where', load: async () => (await import('./commands/info.ts')).info },
  password:     { summary: 'change your password', load: async () => (await import('./commands/password.ts')).password },
  sessions:     { summary: 'list and end sessions', load: async () => (await import('./commands/sessions.ts')).sessions },
  users:        { summary: 'administer users', load: async () => (await import('./commands/users.ts')).users },
  groups:       { summary: 'administer groups and their members', load: async () => (await import('./commands/groups.ts')).groups },
  grants:       { summary: 'give and take away access', load: async () => (await import('./commands/grants.ts')).grants },
  providers:    { summary: 'administer OIDC providers', load: async () => (await import('./commands/providers.ts')).providers },
  destinations: { summary: 'administer destinations', load: async () => (await import('./commands/destinations.ts')).destinations },
  keys:         { summary: 'administer access keys', load: async () => (await import('./commands/keys.ts')).keys },
  events:       { summary: 'show what happened, as it happens', load: async () => (await import('./commands/events.ts')).events },
  tokens:       { summary: 'make tokens for kubectl', load: async () => (await import('./commands/tokens.ts')).tokens },
  version:      { summary: 'show the version', load: async () => (await import('./commands/version.ts')).version },
  completion:   { summary: 'print the completion script of a shell', load: async () => (await import('./commands/completion.ts')).completion },
}

// prettier-ignore
export const programs: Record<string, Program> = {
  server:       { summary: 'run the server', main: async (argv, env) => (await import('../src/main.ts')).serverMain(argv, env) },
  connector:    { summary: 'run the connector beside a cluster', main: async (argv, env) => (await import('../connector/main.ts')).connectorMain(argv, env) },
}
