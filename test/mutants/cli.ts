/** The CLI, and what it writes: a server is not trusted with the kubeconfig. */
import { breaksOf, type Mutant } from './mutant.ts'

const planTest = 'cli/kubeconfig/plan.test.ts'

const entries = breaksOf('cli/kubeconfig/entries.ts', planTest, [
  {
    name: 'K1: a destination may have any name and any id',
    old: `if (!isPlainId(destination.id) || !DestinationName.safeParse(destination.name).success)`,
    new: `if (destination.id === '')`,
  },
  {
    name: 'K1: an id may be a flag',
    old: ` && !id.startsWith('-')`,
    new: ``,
  },
  {
    name: 'K1: an endpoint may be any text',
    old: `if (!isEndpoint(destination.endpoint))`,
    new: `if (destination.endpoint === '')`,
  },
  {
    name: 'K1: a TLS name may be any text',
    old: `if (!dnsName.test(destination.tlsServerName))`,
    new: `if (destination.tlsServerName === '')`,
  },
  {
    name: 'K1: what stands beside a certificate is written with it',
    old: `Buffer.from(certificatesIn(ca) ?? '').toString('base64')`,
    new: `Buffer.from(ca).toString('base64')`,
  },
  {
    name: 'K3: kubectl may be asked for a login in its terminal',
    old: `interactiveMode: 'Never',`,
    new: `interactiveMode: 'IfAvailable',`,
  },
])

const owned = breaksOf('cli/kubeconfig/owned.ts', planTest, [
  {
    name: 'K1: what another server wrote is ours',
    old: `pinOf(user)?.server !== server`,
    new: `pinOf(user) === null && server !== ''`,
  },
])

const plan = breaksOf('cli/kubeconfig/plan.ts', planTest, [
  {
    name: 'K2: what is another server’s goes with ours',
    old: `      entry.name.startsWith('infra:') &&
      owned.has(`,
    new: `      entry.name.startsWith('infra:') ||
      owned.has(`,
  },
])

const printing = breaksOf('src/wire/names.ts', 'cli/terminal/terminal.test.ts', [
  {
    name: 'K4: escapes of eight bits are printed raw',
    old: `\\u007f-\\u009f`,
    new: `\\u007f`,
  },
  {
    name: 'K4: what turns the direction of a line is printed raw',
    old: `\\u2028-\\u202e`,
    new: `\\u2028\\u2029`,
  },
])

export const ofTheCli: Mutant[] = [...entries, ...owned, ...plan, ...printing]
