/** The CLI among hostile servers, files and people. */
import type { Mutant } from './mutant.ts'

export const ofHosts: Mutant[] = [
  {
    name: 'K1: numbers of other people’s entries are respelled',
    file: 'cli/kubeconfig/parsed.ts',
    old: `{ ...options, customTags: withoutNumbers }`,
    new: `options`,
    tests: ['cli/kubeconfig/survival.test.ts'],
  },
  {
    name: 'K1: an entry of somebody else’s by our name is ours',
    file: 'cli/kubeconfig/owned.ts',
    old: `for (const { name } of others) names.delete(name)`,
    new: ``,
    tests: ['cli/kubeconfig/survival.test.ts'],
  },
  {
    name: 'K1: bytes that are no UTF-8 are replaced',
    file: 'cli/disk/files.ts',
    old: `fatal: true`,
    new: `fatal: false`,
    tests: ['cli/kubeconfig/hostile-files.test.ts'],
  },
  {
    name: 'K3: sessions that others can read are used',
    file: 'cli/session.ts',
    old: `!isPrivate(statSync(path))`,
    new: `false`,
    tests: ['cli/private.test.ts'],
  },
  {
    name: 'K4: what is said on stderr may hold other lines',
    file: 'cli/terminal/terminal.ts',
    old: `write(2, printable(line))`,
    new: `write(2, line)`,
    tests: ['cli/hostile-server.test.ts'],
  },
  {
    name: 'K4: a cell is printed raw',
    file: 'cli/terminal/table.ts',
    old: `printable(cell(row))`,
    new: `cell(row)`,
    tests: ['cli/hostile-server.test.ts'],
  },
  {
    name: 'K1: the server may send the credential elsewhere',
    file: 'src/wire/client.ts',
    old: `redirect: 'manual'`,
    new: `redirect: 'follow'`,
    tests: ['cli/hostile-server.test.ts'],
  },
  {
    name: 'L5: any Host is taken',
    file: 'cli/login/loopback.ts',
    old: `hosts.length !== 1 || hosts[0] !== this.#host`,
    new: `hosts.length !== 1`,
    tests: ['cli/login/loopback-attack.test.ts'],
  },
  {
    name: 'L5: the path need not be exact',
    file: 'cli/login/loopback.ts',
    old: `path !== this.#path`,
    new: `!path.endsWith(this.#path)`,
    tests: ['cli/login/loopback-attack.test.ts'],
  },
]
